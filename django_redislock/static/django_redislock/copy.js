"use strict";
// Copies the name of a lock, if the browser allows it: over HTTPS, and on localhost.
{
    const button = document.getElementById("redislock-copy");
    if (button && navigator.clipboard) {
        button.hidden = false;
        button.addEventListener("click", async () => {
            try {
                await navigator.clipboard.writeText(JSON.parse(button.dataset.name));
                button.textContent = button.dataset.copied;
            } catch {
                button.hidden = true; // the browser does not allow it
            }
        });
    }
}
