"use strict";
// Counts down to the next try on the page of a view that is busy. A page that was only looked at is
// asked for again by itself; what was sent is sent again by the person, from the form as it was left.
{
    const countdown = document.getElementById("countdown");
    const again = document.getElementById("try-again");
    const back = document.getElementById("back");
    const shown = countdown.querySelector("strong");
    const bar = countdown.querySelector("progress");
    const seconds = Number(countdown.dataset.retryAfter);
    const end = Date.now() + seconds * 1000;
    const format = (count, unit) => {
        const options = {style: "unit", unit, unitDisplay: "long"};
        try {
            return new Intl.NumberFormat(document.documentElement.lang, options).format(count);
        } catch {
            // Django has names of languages that no browser knows, such as "ca@valencia".
            return new Intl.NumberFormat(undefined, options).format(count);
        }
    };

    const tick = () => {
        const left = Math.max(0, (end - Date.now()) / 1000);
        const text = left < 120 ? format(Math.ceil(left), "second") : format(Math.ceil(left / 60), "minute");
        // What has not changed is not read out again.
        if (shown.textContent !== text) {
            shown.textContent = text;
        }
        bar.value = seconds - left;
        if (left > 0) {
            setTimeout(tick, 100);
        } else if (again) {
            retry();
        } else {
            countdown.hidden = true;
        }
    };

    // A tab that nobody looks at waits until somebody does.
    const retry = () => {
        if (document.hidden) {
            document.addEventListener("visibilitychange", retry, {once: true});
        } else {
            location.replace(again.href);
        }
    };

    if (back) {
        back.addEventListener("click", (event) => {
            if (document.referrer && history.length > 1) {
                // Unlike a link, this leaves in the form what was typed into it.
                event.preventDefault();
                history.back();
            }
        });
    }
    bar.hidden = false;
    tick();
}
