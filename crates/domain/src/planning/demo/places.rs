//! Where a demo season takes place: cities with their clocks and money, and halls nobody knows.
//!
//! Invariant: zones and currencies are names their databases have; a test looks.
//! Not here: real venues.

/// A city.
#[derive(Clone, Copy, Debug)]
pub(super) struct City {
    pub(super) name: &'static str,
    pub(super) country: &'static str,
    pub(super) zone: &'static str,
    pub(super) currency: &'static str,
    /// What costs one euro elsewhere costs about so much here.
    pub(super) price_level: i64,
}

const fn city(
    name: &'static str,
    country: &'static str,
    zone: &'static str,
    currency: &'static str,
    price_level: i64,
) -> City {
    City { name, country, zone, currency, price_level }
}

pub(super) static CITIES: [City; 18] = [
    city("Berlin", "Germany", "Europe/Berlin", "EUR", 1),
    city("Lisbon", "Portugal", "Europe/Lisbon", "EUR", 1),
    city("London", "United Kingdom", "Europe/London", "GBP", 1),
    city("New York", "United States", "America/New_York", "USD", 1),
    city("San Francisco", "United States", "America/Los_Angeles", "USD", 2),
    city("Toronto", "Canada", "America/Toronto", "CAD", 2),
    city("São Paulo", "Brazil", "America/Sao_Paulo", "BRL", 5),
    city("Mexico City", "Mexico", "America/Mexico_City", "MXN", 18),
    city("Tokyo", "Japan", "Asia/Tokyo", "JPY", 150),
    city("Singapore", "Singapore", "Asia/Singapore", "SGD", 2),
    city("Sydney", "Australia", "Australia/Sydney", "AUD", 2),
    city("Bengaluru", "India", "Asia/Kolkata", "INR", 80),
    city("Nairobi", "Kenya", "Africa/Nairobi", "KES", 130),
    city("Cape Town", "South Africa", "Africa/Johannesburg", "ZAR", 18),
    city("Zürich", "Switzerland", "Europe/Zurich", "CHF", 2),
    city("Stockholm", "Sweden", "Europe/Stockholm", "SEK", 11),
    city("Kraków", "Poland", "Europe/Warsaw", "PLN", 4),
    city("Montréal", "Canada", "America/Toronto", "CAD", 2),
];

pub(super) static HALLS: [&str; 20] = [
    "Harbour Hall",
    "The Old Tram Depot",
    "Riverside Pavilion",
    "Northlight Studios",
    "The Glasshouse",
    "Foundry Loft",
    "Kite Factory",
    "Garden Theatre",
    "Observatory Terrace",
    "Market Hall",
    "Copper Works",
    "Lantern House",
    "The Reading Room",
    "Signal Box",
    "Mill Yard",
    "Orchard Campus",
    "Ferry Terminal Two",
    "Paper Mill Forum",
    "Clocktower Rooms",
    "Skylark Centre",
];

pub(super) static STREETS: [&str; 14] = [
    "Station Street",
    "Harbour Road",
    "Mill Lane",
    "Linden Avenue",
    "Canal Side",
    "Foundry Street",
    "Garden Row",
    "Observatory Hill",
    "Market Square",
    "Bridge Street",
    "Lantern Alley",
    "Orchard Way",
    "Ferry Road",
    "Windmill Street",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::money::Currency;
    use crate::planning::zone::Zone;

    #[test]
    fn every_city_has_clocks_and_money_of_this_world() {
        for city in CITIES {
            assert!(Zone::parse(city.zone).is_ok(), "{}", city.zone);
            assert!(Currency::parse(city.currency).is_ok(), "{}", city.currency);
        }
    }
}
