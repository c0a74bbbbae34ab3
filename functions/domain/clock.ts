/** Epoch milliseconds. Everything that depends on time is given one of these, so that tests can hold it still. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** Milliseconds since some moment, with fractions: for durations, which a clock that is set right would spoil. */
export const stopwatch: Clock = () => performance.now();

/** Epoch seconds, rounded down: the unit of every `…At` in this project. */
export const seconds = (clock: Clock): number => Math.floor(clock() / 1000);
