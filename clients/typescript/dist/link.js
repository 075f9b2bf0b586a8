// What the two ways to listen have in common: an open link, what it hears, and how it ends.
/** A server that takes nobody in so long is given up. */
export const OPENING_MS = 15_000;
/** Hooks that fall silent after the end. */
export function untilEnd(hooks, cleanUp) {
    let over = false;
    const stop = () => {
        over = true;
        cleanUp();
    };
    return {
        stop,
        alive: () => over || hooks.alive(),
        event: (event) => over || hooks.event(event),
        end(ending) {
            if (over)
                return;
            stop();
            hooks.end(ending);
        },
    };
}
