'use strict';
// Who is measured when: contestants take turns in short slices, and what drifts (the clock of the
// processor, a neighbour, the temperature) falls on all of them alike.

// The order of one round. Two rounds mirror each other (A B C C B A), so that a steady drift cancels;
// the next two begin with another contestant, so that nobody always follows the same one.
function order(count, round) {
  const first = (round >> 1) % count;
  const list = Array.from({ length: count }, (_, i) => (i + first) % count);
  return round % 2 ? list.reverse() : list;
}

// Calls measure(i) for each of `count` contestants in each round; answers values[contestant][round].
async function takeTurns(count, rounds, measure, tell = () => {}) {
  const values = Array.from({ length: count }, () => []);
  for (let round = 0; round < rounds; round++) {
    for (const [place, i] of order(count, round).entries()) {
      tell(round * count + place, rounds * count, i);
      values[i][round] = await measure(i);
    }
  }
  return values;
}

module.exports = { order, takeTurns };
