// Protocol of benches/queue/measure.py, shared by both Node.js peers.

import { createInterface } from "node:readline";

const CALLERS = 50;
const CALLS = 4;
const epoch = () => performance.timeOrigin + performance.now();

export const say = (words) => process.stdout.write(`${words}\n`);

/** Prints the duration of `work` in seconds. */
export async function timed(work) {
  const began = performance.now();
  await work();
  say(((performance.now() - began) / 1000).toFixed(6));
}

/** Makes `count` calls from 50 concurrent callers, each of which waits for its result. */
export async function oneByOne(count, call) {
  const caller = async () => {
    for (let n = 0; n < count / CALLERS; n++) await call();
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** Prints READY, starts at GO, reports the number of run tasks and the time, and stops at STOP. */
export async function drain(start) {
  let count = 0, told = 0, last = 0;
  const done = (more = 1) => {
    count += more;
    last = epoch();
  };
  const tell = () => {
    if (count > told) say(`DONE ${count} ${(last / 1000).toFixed(6)}`);
    told = count;
  };
  const timer = setInterval(tell, 20);
  let stop;
  say("READY");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "GO") stop = await start(done);
    if (line === "STOP") break;
  }
  await stop?.();
  clearInterval(timer);
  tell();
  process.exit(0);
}

/** One task after the other on an idle worker: milliseconds from the call that submits it to its first line. */
export async function latency(count, start, submit) {
  let began;
  const stop = await start(() => began?.(performance.now()));
  const all = [];
  for (let n = 0; n < count + 20; n++) {
    const begun = new Promise((resolve) => (began = resolve));
    const asked = performance.now();
    await submit();
    const waited = (await begun) - asked;
    // The first tasks also open the connections.
    if (n >= 20) all.push(waited.toFixed(4));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  say(all.join(" "));
  await stop();
  process.exit(0);
}

/** Tasks that come at a rate, whatever has become of those before: milliseconds from when one is due to its first line.
 * What is due while `CALLS` calls are under way is submitted together by the next one. */
export async function pickup(rate, seconds, start, submitAll) {
  const all = [];
  const stop = await start((payload) => all.push(performance.now() - payload.at));
  // The first second also opens the connections.
  const count = rate * (seconds + 1);
  const began = performance.now();
  let made = 0, calls = 0, due = [];
  const late = began + 1000 * (seconds + 60);
  while (all.length < count && performance.now() < late) {
    const now = performance.now();
    for (const then = Math.min(count, Math.floor(((now - began) / 1000) * rate)); made < then; made++) due.push({ at: now });
    if (due.length && calls < CALLS) {
      calls++;
      submitAll(due).then(() => calls--);
      due = [];
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (all.length < count) throw new Error(`${all.length} of ${count} tasks were run`);
  say(all.slice(rate).map((waited) => waited.toFixed(4)).join(" "));
  await stop();
  process.exit(0);
}
