"use strict";
// Shows how many locks are ticked, and ticks all locks of a page or of a search.
{
    class Selection {
        constructor(bar, live) {
            this.bar = bar;
            this.live = live;
            this.told = document.getElementById("redislock-selected");
            this.button = document.getElementById("redislock-all-found");
            this.allFound = bar.querySelector("[name=all_found]");
        }

        run() {
            this.live.addEventListener("change", (event) => this.changed(event.target));
            this.live.addEventListener("redislock:refreshed", () => this.show());
            this.button.addEventListener("click", () => this.selectAllFound());
            this.show();
        }

        // An ended hold is not ticked with the others, but keeps its tick if it has one.
        get boxes() {
            const rows = [...this.live.querySelectorAll("tr:not(.redislock-missing)")];
            return rows.flatMap((row) => [...row.querySelectorAll("input[name=hold]")]);
        }

        get ticked() {
            return this.live.querySelectorAll("input[name=hold]:checked").length;
        }

        changed(target) {
            const all = document.getElementById("redislock-all");
            if (target === all) {
                this.boxes.forEach((box) => (box.checked = all.checked));
            }
            this.allFound.disabled = true;
            this.show();
        }

        selectAllFound() {
            this.allFound.disabled = false;
            this.show();
            this.bar.querySelector("button").focus();
        }

        show() {
            const {boxes, ticked} = this;
            const all = document.getElementById("redislock-all");
            if (all) {
                all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
            }
            const text = this.live.dataset.selectAllFound;
            const isWhole = !this.allFound.disabled;
            this.button.hidden = isWhole || !text || !all || !all.checked;
            this.button.textContent = text;
            const count = isWhole ? this.live.dataset.selectable : ticked;
            const said = count ? this.bar.dataset.selected.replace("%(count)d", count) : "";
            // A screen reader would read a repeated text again.
            if (this.told.textContent !== said) {
                this.told.textContent = said;
            }
        }
    }

    const bar = document.getElementById("redislock-selection");
    const live = document.getElementById("redislock-live");
    if (bar && live) {
        new Selection(bar, live).run();
    }
}
