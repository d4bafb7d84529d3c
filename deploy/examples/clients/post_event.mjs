// Posts a purchase of now:  node post_event.mjs CUSTOMER AMOUNT
// Needs Node.js 18 or later, and nothing else. When no answer comes, or one that says later, the
// same event is sent again under the same id, so it counts once.
import { randomUUID } from "node:crypto";

const url = process.env.TENURE_URL ?? "http://127.0.0.1:8001";
const later = new Set([408, 429, 500, 502, 503, 504]);
const [customer, amount] = process.argv.slice(2);

const event = {
  specversion: "1.0",
  type: "tenure.purchase",
  source: "//shop.example",
  id: randomUUID(), // your own system has an id for it that stays the same
  subject: customer,
  time: new Date().toISOString(),
  data: { amount: Number(amount) },
};

async function post() {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    let pause = 1;
    try {
      const answer = await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: {
          "content-type": "application/cloudevents+json",
          authorization: `Bearer ${process.env.TENURE_API_KEY ?? "none"}`,
        },
        body: JSON.stringify(event),
      });
      if (!later.has(answer.status)) return answer;
      pause = Number(answer.headers.get("retry-after") ?? pause);
    } catch {
      // perhaps it arrived: the id tells
    }
    await new Promise((done) => setTimeout(done, pause * 1000));
  }
  throw new Error(`${url} takes nothing`);
}

const answer = await post();
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
