//! The words of a demo season: topics, sentences, names of things that do not exist.
//!
//! Invariant: names no person and no company; whatever sounds like a name is made of syllables.
//! Not here: putting them together.

use super::dice::Dice;

pub(super) static TOPICS: [&str; 32] = [
    "Rust",
    "Data Engineering",
    "Urban Gardening",
    "Accessible Design",
    "Open Hardware",
    "Climate Technology",
    "Board Games",
    "Community Radio",
    "Documentary Film",
    "Bread Baking",
    "Digital Archives",
    "Robotics",
    "Maps and Geodata",
    "Public Libraries",
    "Game Design",
    "Sound Art",
    "Quantum Computing",
    "Street Photography",
    "Museum Education",
    "Renewable Energy",
    "Product Management",
    "Network Security",
    "Local Journalism",
    "Web Performance",
    "Typography",
    "Machine Learning",
    "Cycling Cities",
    "Observability",
    "Volunteer Management",
    "Circular Fashion",
    "Ocean Science",
    "Civic Technology",
];

pub(super) static PEOPLE: [&str; 16] = [
    "practitioners",
    "beginners",
    "researchers",
    "students and their teachers",
    "makers",
    "engineers",
    "organisers",
    "designers",
    "librarians",
    "founders",
    "public servants",
    "volunteers",
    "writers",
    "freelancers",
    "career changers",
    "curious neighbours",
];

pub(super) static OPENINGS: [&str; 12] = [
    "{topic} brings {people} together for {length} of talks, demos and long breaks.",
    "A gathering for {people} who care about {topic} and would rather try things than hear about them.",
    "What works in {topic}, what does not, and what nobody has tried yet: {length} with {people}.",
    "Meet {people} from {city} and beyond, and see how they approach {topic} day by day.",
    "We open the doors for {people}: {length} around {topic}, without a sales pitch in sight.",
    "From first steps to hard-won lessons, {topic} is the thread that runs through this programme.",
    "Every year {city} becomes a meeting point for {topic}; this time {people} set the agenda.",
    "Small groups, honest stories and plenty of coffee: {topic} for {people}.",
    "Bring a question about {topic}, leave with three better ones and a few new friends.",
    "{length} in {city} to compare notes on {topic}, with room for {people} of every level.",
    "An independent event about {topic}, run by {people} for {people_too}.",
    "How does {topic} change the way we work together? We ask {people} who do it every week.",
];

pub(super) static MIDDLES: [&str; 20] = [
    "The morning belongs to short talks, the afternoon to open tables.",
    "Sessions are recorded, captioned and published under an open licence.",
    "Childcare, a quiet room and step-free access are available throughout.",
    "Lunch is vegetarian, with vegan and gluten-free choices at every counter.",
    "A mentoring corner pairs newcomers with people who have done this before.",
    "Tickets include the evening programme and public transport in the city.",
    "The exhibition shows work in progress rather than polished products.",
    "Interpretation into sign language is offered on the main stage.",
    "There are lightning talks; the list is open until the day itself.",
    "A code of conduct applies, and a trained team is there to help.",
    "We print nothing that can be shown on a screen, and compost what we cannot.",
    "Workshops are limited to twenty-four seats, so that everybody gets help.",
    "Scholarships cover travel and lodging for those who could not come otherwise.",
    "The venue is ten minutes from the central station by tram.",
    "Proceeds go to a fund for neighbourhood projects.",
    "Doors open half an hour before the first session.",
    "Bring a laptop; power, adapters and patient helpers are provided.",
    "The jury looks for usefulness first and polish last.",
    "An unconference block lets participants choose the topics themselves.",
    "The evening ends with live music and a long table.",
];

pub(super) static ENDINGS: [&str; 10] = [
    "Come as you are.",
    "Seats are limited, and the waiting list moves fast.",
    "Details follow as soon as they are confirmed.",
    "We look forward to meeting you.",
    "Remote guests take part on equal terms.",
    "Questions are welcome at any time.",
    "The full programme appears eight weeks ahead.",
    "Last time we were sold out early.",
    "First-time speakers are especially welcome.",
    "See you there.",
];

const HEADS: [&str; 24] = [
    "ka", "ve", "lo", "ta", "mi", "ro", "sa", "ne", "du", "fe", "ga", "hi", "jo", "lu", "pa", "qui", "re",
    "so", "tu", "va", "wi", "xa", "yo", "ze",
];
const TAILS: [&str; 20] = [
    "rin", "lma", "vek", "ndo", "sta", "mir", "bel", "qua", "tho", "zen", "lia", "rk", "nna", "vo", "sk",
    "tir", "wan", "dex", "phi", "um",
];

/// A name that means nothing, the same for the same number. Small numbers have short ones.
pub(super) fn invented(number: u64) -> String {
    let (heads, tails) = (HEADS.len() as u64, TAILS.len() as u64);
    let mut text = String::new();
    let mut left = number;
    loop {
        text.push_str(HEADS[(left % heads) as usize]);
        left /= heads;
        if left < tails {
            break;
        }
        left -= tails;
    }
    text.push_str(TAILS[left as usize]);
    capital(&text)
}

/// So many invented names, some of them common and most of them rare among all there are.
pub(super) fn names(dice: &Dice, all: u64, count: usize) -> String {
    let names: Vec<_> = (0..count).map(|_| invented(dice.rank(all))).collect();
    listed(&names)
}

/// `a, b and c`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// With a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn invented_names_differ_by_their_number() {
        let names: HashSet<_> = (0..50_000).map(invented).collect();
        assert!(names.len() > 49_900, "{}", names.len());
        assert!(names.iter().all(|name| name.len() >= 4 && name.is_ascii()));
    }

    #[test]
    fn lists_read_like_lists() {
        let names = |all: &[&str]| listed(&all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!([names(&[]), names(&["a"]), names(&["a", "b", "c"])], ["", "a", "a, b and c"]);
        assert_eq!(capital("émile"), "Émile");
    }
}
