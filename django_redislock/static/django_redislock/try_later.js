"use strict";
// Counts down to the next try on the page of a busy view. A page requested by GET is reloaded
// automatically; a submitted form is sent again by the user, from the form as it was filled in.
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
            // Django has language names that browsers do not know, such as "ca@valencia".
            return new Intl.NumberFormat(undefined, options).format(count);
        }
    };

    const tick = () => {
        const left = Math.max(0, (end - Date.now()) / 1000);
        const text = left < 120 ? format(Math.ceil(left), "second") : format(Math.ceil(left / 60), "minute");
        // A screen reader would read an unchanged text again.
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

    // A hidden tab waits until it is visible again.
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
                // Unlike a link, this keeps the text that was typed into the form.
                event.preventDefault();
                history.back();
            }
        });
    }
    bar.hidden = false;
    tick();
}
