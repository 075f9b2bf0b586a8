// Storage of the browser. Where it is blocked, for example in private windows, values live in memory until the page closes.

function storage(name) {
  const memory = new Map();
  const read = (key) => {
    try {
      return globalThis[name].getItem(key);
    } catch {
      return null;
    }
  };
  return {
    get: (key) => (memory.has(key) ? memory.get(key) : read(key)),
    /** Stores a value. Null removes it. */
    set(key, value) {
      try {
        if (value === null) globalThis[name].removeItem(key);
        else globalThis[name].setItem(key, value);
        memory.delete(key);
      } catch {
        memory.set(key, value);
      }
    },
  };
}

/** Shared by all tabs, until it is cleared. */
export const browserStorage = storage('localStorage');

/** For one tab, until it closes. */
export const tabStorage = storage('sessionStorage');
