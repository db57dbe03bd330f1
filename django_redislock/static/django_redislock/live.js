"use strict";
// Keeps the pages of the live locks up to date: it counts down the leases, and fetches the content
// again from the page's own URL. Without this script, the pages are complete and reloaded by hand.
{
    const LONGEST_PAUSE = 30000;
    const TICK = 500;
    const SUMMARY_EVERY = 5;
    // How many refreshes in a row may fail before the page is no longer called live.
    const MISSES = 2;

    class LivePage {
        constructor(controls, live) {
            this.texts = controls.dataset;
            this.live = live;
            this.status = document.getElementById("redislock-status");
            this.button = document.getElementById("redislock-pause");
            this.duration = new Duration(JSON.parse(this.texts.formats));
            this.silence = document.getElementById("redislock-silence");
            this.readAt = this.answeredAt = performance.now();
            this.every = this.pause = Number(this.texts.every);
            this.paused = this.over = false;
            // The number of locks when the page was loaded.
            this.total = live.dataset.total;
            this.timer = null;
        }

        run() {
            showWhatNeedsScript(document);
            this.button.addEventListener("click", () => this.toggle());
            document.addEventListener("visibilitychange", () => this.resume());
            setInterval(() => this.tick(), TICK);
            this.say(this.texts.live);
            this.schedule(this.every);
            this.refreshSummary();
        }

        // The summary line costs more than the list, so it is fetched less often.
        async refreshSummary() {
            const old = document.getElementById("redislock-summary");
            if (!old || this.over) {
                return;
            }
            if (!this.paused && !document.hidden) {
                try {
                    const fresh = await this.part(this.texts.summary, old.id);
                    if (fresh) {
                        morph(old, document.importNode(fresh, true));
                    }
                } catch {
                    // The list already shows that there is no answer.
                }
            }
            setTimeout(() => this.refreshSummary(), SUMMARY_EVERY * this.every);
        }

        toggle() {
            this.paused = !this.paused;
            this.button.textContent = this.paused ? this.texts.resume : this.texts.pause;
            this.say(this.paused ? this.texts.paused : this.texts.live);
            this.resume();
        }

        // No request was sent in the meantime, so no answer is overdue.
        resume() {
            this.answeredAt = performance.now();
            this.schedule(0);
        }

        // A hidden page is not refreshed.
        schedule(delay) {
            clearTimeout(this.timer);
            if (!this.paused && !this.over && !document.hidden) {
                this.timer = setTimeout(() => this.refresh(), delay);
            }
        }

        async refresh() {
            const asked = (this.asked = {});
            try {
                const fresh = await this.fetch();
                if (asked !== this.asked || this.paused) {
                    return;
                }
                this.answeredAt = performance.now();
                if (fresh) {
                    this.show(fresh);
                    this.pause = this.every;
                    this.say(this.texts.live);
                } else {
                    this.over = true;
                    this.say(this.texts.over);
                }
            } catch {
                this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
                this.say(this.texts.failed);
            }
            if (asked === this.asked) {
                this.schedule(this.pause);
            }
        }

        // The current live part of the page; nothing if its URL now leads to another page.
        async fetch() {
            const isStanding = this.rows.length > 0 && !this.hasRunOut;
            const fresh = isStanding
                ? await this.part(this.texts.refresh, this.live.id, {method: "POST", body: this.shown})
                : await this.part(location.href, this.live.id);
            if (fresh && isStanding) {
                this.keepMissing(fresh);
            } else if (fresh) {
                this.total = fresh.dataset.total;
            }
            return fresh;
        }

        async part(address, id, options = {}) {
            const response = await fetch(address, {
                cache: "no-store",
                signal: AbortSignal.timeout(20000),
                ...options,
            });
            // Also where a proxy has had enough of us for now: 408, 425 and 429.
            if (response.status >= 500 || [408, 425, 429].includes(response.status)) {
                throw new Error(response.statusText);
            }
            const page = new DOMParser().parseFromString(await response.text(), "text/html");
            return page.getElementById(id);
        }

        // The rows of a list. They keep their places while the page is open.
        get rows() {
            return [...this.live.querySelectorAll("tr[data-hold]")];
        }

        // Whether all rows have ended and none is ticked. Rows of a silent backend may still be held.
        get hasRunOut() {
            return this.rows.every((row) => row.classList.contains("redislock-missing")
                && !row.hasAttribute("data-unknown")
                && !row.querySelector("input:checked"));
        }

        get shown() {
            const body = new FormData();
            const token = this.live.closest("form").querySelector("[name=csrfmiddlewaretoken]");
            body.append("csrfmiddlewaretoken", token.value);
            body.append("query", this.texts.query);
            body.append("total", this.total);
            body.append("shown", JSON.stringify(this.rows.map((row) => row.dataset.hold)));
            return body;
        }

        // A row whose hold is gone keeps its place, greyed out, with its last figures.
        keepMissing(fresh) {
            for (const row of fresh.querySelectorAll("tr[data-missing]")) {
                const kept = document.getElementById(row.id).cloneNode(true);
                kept.className = "redislock-missing";
                kept.toggleAttribute("data-unknown", row.hasAttribute("data-unknown"));
                for (const element of kept.querySelectorAll("[data-remaining], [data-elapsed]")) {
                    element.removeAttribute("data-remaining");
                    element.removeAttribute("data-elapsed");
                }
                kept.querySelector("progress")?.setAttribute("value", "0");
                write(kept.querySelector(".redislock-left"), "–");
                const remark = kept.querySelector(".redislock-lease .redislock-remark");
                remark.className = "redislock-remark";
                write(remark, row.dataset.missing);
                row.replaceWith(kept);
            }
        }

        show(fresh) {
            const focused = document.activeElement;
            showWhatNeedsScript(fresh);
            // A countdown that only runs on is not a difference.
            this.readAt = performance.now();
            morph(this.live, document.importNode(fresh, true));
            if (focused !== document.activeElement && this.live.contains(focused)) {
                focused.focus({preventScroll: true});
            }
            this.tellNews(fresh.dataset.news);
            this.tick();
            this.live.dispatchEvent(new Event("redislock:refreshed"));
        }

        tick() {
            if (this.paused || document.hidden || this.tellSilence()) {
                return;
            }
            const passed = (performance.now() - this.readAt) / 1000;
            for (const element of this.live.querySelectorAll("[data-remaining]")) {
                const left = Math.max(0, Number(element.dataset.remaining) - passed);
                // The lease may have been renewed since: only the server knows if it has ended.
                write(element, this.duration.of(left));
                const bar = element.closest("td").querySelector("progress");
                if (bar) {
                    bar.value = left;
                }
            }
            for (const element of this.live.querySelectorAll("[data-elapsed]")) {
                write(element, this.duration.of(Number(element.dataset.elapsed) + passed));
            }
        }

        // Outdated figures must not keep counting as if they were live.
        tellSilence() {
            const silent = (performance.now() - this.answeredAt) / 1000;
            const isStale = !this.over && silent > ((MISSES + 1) * this.every) / 1000;
            for (const part of [this.live, document.getElementById("redislock-summary")]) {
                part?.classList.toggle("redislock-stale", isStale);
            }
            const duration = this.duration.whole(silent);
            write(this.silence, isStale ? this.texts.silence.replace("%s", duration) : "");
            if (isStale) {
                this.say(this.texts.failed);
            }
            return isStale;
        }

        // Reloading the page shows the locks that have been acquired since.
        tellNews(text) {
            const link = document.getElementById("redislock-reload");
            link.classList.toggle("redislock-news", Boolean(text));
            write(link, text || link.dataset.reload);
        }

        // A screen reader would read a repeated status again.
        say(text) {
            write(this.status, text);
        }
    }

    // Formats lengths of time as the server does, in the same language.
    class Duration {
        constructor(formats) {
            this.formats = formats;
        }

        of(seconds) {
            if (seconds < 60) {
                // The server cuts digits off, so that 59.97 s are never 60.0 s.
                const [whole, tenths] = (Math.floor(seconds * 10) / 10).toFixed(1).split(".");
                const number = `${whole}${this.formats.point}${tenths}`;
                return this.formats.seconds.replace("%(seconds)s", number);
            }
            return this.whole(seconds);
        }

        whole(seconds) {
            const whole = Math.floor(seconds);
            const units = whole < 3600
                ? [[whole / 60, "min"], [whole % 60, "s"]]
                : whole < 86400
                    ? [[whole / 3600, "h"], [(whole % 3600) / 60, "min"]]
                    : [[whole / 86400, "d"], [(whole % 86400) / 3600, "h"]];
            return units
                .map(([count, unit]) => [Math.floor(count), unit])
                .filter(([count]) => count)
                .map(([count, unit]) => this.formats[unit].replace("%(count)d", count))
                .join(" ");
        }
    }

    const write = (element, text) => {
        if (element.textContent !== text) {
            element.textContent = text;
        }
    };

    const showWhatNeedsScript = (root) => {
        for (const element of root.querySelectorAll(".redislock-needs-script")) {
            element.hidden = false;
        }
    };

    // Make `old` equal to `fresh`, but keep every element that is in both, so that the focus, the
    // selection, ticks and a screen reader's position stay. Rows are identified by their ids.
    const morph = (old, fresh) => {
        if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
            old.replaceWith(fresh);
        } else if (old.nodeType === Node.TEXT_NODE) {
            if (old.data !== fresh.data) {
                old.data = fresh.data;
            }
        } else if (old.nodeType === Node.ELEMENT_NODE) {
            morphAttributes(old, fresh);
            morphChildren(old, fresh);
        }
    };

    const morphAttributes = (old, fresh) => {
        for (const {name} of [...old.attributes]) {
            if (!fresh.hasAttribute(name)) {
                old.removeAttribute(name);
            }
        }
        for (const {name, value} of fresh.attributes) {
            if (old.getAttribute(name) !== value) {
                old.setAttribute(name, value);
            }
        }
    };

    const morphChildren = (old, fresh) => {
        const wanted = [...fresh.childNodes];
        const ids = new Set(wanted.map((node) => node.id).filter(Boolean));
        const known = new Map();
        for (const node of [...old.childNodes]) {
            if (node.id && ids.has(node.id)) {
                known.set(node.id, node);
            } else if (node.id) {
                node.remove();
            }
        }
        wanted.forEach((node, place) => {
            const present = old.childNodes[place];
            // A node without an id matches any other node in its place.
            const same = node.id ? known.get(node.id) : present && !present.id && present;
            if (!same) {
                old.insertBefore(node, present || null);
                return;
            }
            if (same !== present) {
                old.insertBefore(same, present || null);
            }
            morph(same, node);
        });
        while (old.childNodes.length > wanted.length) {
            old.lastChild.remove();
        }
    };

    const controls = document.getElementById("redislock-controls");
    const live = document.getElementById("redislock-live");
    if (controls && live) {
        new LivePage(controls, live).run();
    }
}
