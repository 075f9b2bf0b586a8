// What a page keeps in the browser. Some browsers keep nothing, or throw when asked: then the page itself does, as long as it is open.

function keeper(storage) {
  const own = new Map();
  const read = (key) => {
    try {
      return globalThis[storage].getItem(key);
    } catch {
      return null;
    }
  };
  return {
    get: (key) => (own.has(key) ? own.get(key) : read(key)),
    /** Keeps a value; null forgets it. */
    set(key, value) {
      try {
        if (value === null) globalThis[storage].removeItem(key);
        else globalThis[storage].setItem(key, value);
        own.delete(key);
      } catch {
        own.set(key, value);
      }
    },
  };
}

/** Until somebody clears it. */
export const browser = keeper('localStorage');

/** As long as the tab. */
export const tab = keeper('sessionStorage');
