// graphile-worker: `graphile.mjs tuned|default ACTION URL COUNT [SECONDS]`.

import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import { drain, latency, oneByOne, pickup, timed } from "./stage.mjs";

const [, , settings, action, url, text, seconds] = process.argv;
const count = Number(text);
const logger = new Logger(() => () => {});
// Configured as its documentation advises for speed (worker.graphile.org/docs/scaling).
const tuned = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const worker = { connectionString: url, concurrentJobs: 10, maxPoolSize: 12, logger };
const preset = { worker: { ...worker, ...(settings === "tuned" ? tuned : {}) } };

/** `done` gets the payload of each task. */
async function start(done) {
  const runner = await run({ preset, noHandleSignals: true, taskList: { nothing: done } });
  return () => runner.stop();
}

const utils = () => makeWorkerUtils({ connectionString: url, logger, maxPoolSize: 10 });
const actions = {
  prepare: () => runMigrations({ preset }),
  async fill() {
    const to = await utils();
    await timed(async () => {
      for (let n = 0; n < count; n += 1000) {
        await to.addJobs(Array.from({ length: 1000 }, () => ({ identifier: "nothing", payload: {} })));
      }
    });
  },
  async single() {
    const to = await utils();
    await to.addJob("nothing", {});
    await timed(() => oneByOne(count, () => to.addJob("nothing", {})));
  },
  drain: () => drain((done) => start(() => done())),
  async latency() {
    const to = await utils();
    await latency(count, start, () => to.addJob("nothing", {}));
  },
  async pickup() {
    const to = await utils();
    const submitAll = (payloads) => to.addJobs(payloads.map((payload) => ({ identifier: "nothing", payload })));
    await pickup(count, Number(seconds), start, submitAll);
  },
};
await actions[action]();
process.exit(0);
