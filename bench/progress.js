'use strict';
// What one sees while it runs: a line at the bottom of a terminal that says where it is and how long
// it takes still; where there is no terminal, a line for each row.

const CLEAR = '\r\x1b[K';

const now = () => Number(process.hrtime.bigint()) / 1e9;

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

// estimates: seconds that each row is thought to take.
function makeProgress(estimates, out = process.stderr) {
  const total = estimates.reduce((sum, one) => sum + one, 0);
  const started = now();
  let before = 0; // of the estimates, for rows that are done
  let row = 0;

  // As much faster or slower as it was so far.
  function left(part) {
    const done = before + estimates[row] * part;
    const pace = done > total / 50 ? (now() - started) / done : 1;
    return (total - done) * pace;
  }

  const clear = () => out.isTTY && out.write(CLEAR);

  return {
    clear,
    begin(i, title) {
      row = i;
      before = estimates.slice(0, i).reduce((sum, one) => sum + one, 0);
      if (out.isTTY) this.tell(title, 0, 1);
      else out.write(`[${i + 1}/${estimates.length}] ${title}: about ${duration(left(0))} to go\n`);
    },
    tell(title, done, all, who = '') {
      if (!out.isTTY) return;
      const percent = Math.floor((100 * (before + (estimates[row] * done) / all)) / total);
      const text = `${String(percent).padStart(3)} %  ${title}  ${done}/${all}  ${who}  ` +
        `about ${duration(left(done / all))} to go`;
      out.write(CLEAR + text.slice(0, (out.columns ?? 80) - 1));
    },
  };
}

module.exports = { makeProgress, duration };
