// What a TypeScript or JavaScript program of this folder reports: one line of JSON a call, to the
// file that it is given. A call that throws is reported as failed, and the others still run.

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const calls = [];

/** Loads a package of the environment that this program is run in. */
const load = createRequire(path.join(path.resolve(process.env.CROSSBILL_NODE), 'x.js'));

class Outcome extends Error {
  constructor(result, reason) {
    super(reason);
    this.result = result;
    this.reason = reason;
  }
}

const call = (name, run) => calls.push({ name, run });
const absent = () => new Outcome('absent');

function refused(error, text) {
  if (!String(error.message).includes(text)) throw error;
  return new Outcome('refused', text);
}

/** The error that a call must end with. */
async function raised(run) {
  let answer;
  try {
    answer = await run();
  } catch (error) {
    return error;
  }
  throw new Error(`an error was expected, and the answer is ${JSON.stringify(answer)}`);
}

async function run(world) {
  for (const { name, run } of calls) {
    const line = { call: name, result: 'works' };
    try {
      await run(world);
    } catch (error) {
      const expected = error instanceof Outcome;
      line.result = expected ? error.result : 'fails';
      const reason = expected ? error.reason : error.stack;
      if (reason) line.reason = reason;
    }
    fs.appendFileSync(process.env.CROSSBILL_OUT, `${JSON.stringify(line)}\n`);
  }
}

module.exports = { Outcome, absent, call, load, raised, refused, run };
