// What is read again and again while the page is visible.

/**
 * Returns what reads when it is told to, and from then on every so often, and at once when the page is seen again.
 * @param {() => Promise<void>} read does not fail
 * @param {number} every in milliseconds, from the end of a read
 */
export function repeated(read, every) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let begun = false;
  const self = {
    /** Whether nothing is read any more: what comes now is shown nowhere. */
    over: false,
    async now() {
      begun = true;
      clearTimeout(timer);
      await read();
      if (!document.hidden && !self.over) timer = setTimeout(() => void self.now(), every);
    },
    stop() {
      self.over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
  const onVisible = () => !document.hidden && begun && void self.now();
  document.addEventListener("visibilitychange", onVisible);
  return self;
}
