// The home page: its example is sent to where the page came from.
"use strict";

document.getElementById("origin").textContent = location.origin;
