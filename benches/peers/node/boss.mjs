// pg-boss: `boss.mjs ACTION URL COUNT`.

import { PgBoss } from "pg-boss";
import { drain, latency, oneByOne, timed } from "./stage.mjs";

const [, , action, url, text] = process.argv;
const count = Number(text);
// Its listener wakes an idle worker; without it the worker polls every 500 ms.
const boss = new PgBoss({ connectionString: url, max: 10, useListenNotify: true });
boss.on("error", () => {});
await boss.start();
await boss.createQueue("nothing", { notify: true });

async function start(done) {
  const options = { localConcurrency: 10, batchSize: 100, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
  await boss.work("nothing", options, async (jobs) => done(jobs.length));
  return () => boss.stop({ graceful: true });
}

const actions = {
  async prepare() {},
  fill: () =>
    timed(async () => {
      for (let n = 0; n < count; n += 1000) {
        await boss.insert("nothing", Array.from({ length: 1000 }, () => ({ data: {} })));
      }
    }),
  async single() {
    await boss.send("nothing", {});
    await timed(() => oneByOne(count, () => boss.send("nothing", {})));
  },
  drain: () => drain(start),
  latency: () => latency(count, start, () => boss.send("nothing", {})),
};
await actions[action]();
process.exit(0);
