"use strict";
// Sends a release once, however often its button is clicked: the answer to a second request would
// replace that to the first, and say that the locks had already ended.
{
    // A page whose loading was stopped can be sent again after this time.
    const PAUSE = 10000;

    const form = document.getElementById("redislock-release");
    let sentAt = -Infinity;
    form?.addEventListener("submit", (event) => {
        if (performance.now() < sentAt + PAUSE) {
            event.preventDefault();
        } else {
            sentAt = performance.now();
        }
    });
    window.addEventListener("pageshow", () => (sentAt = -Infinity));
}
