// What an application does that was written with co-wechat-api, through the door.

import assert from 'node:assert/strict';

import API from 'co-wechat-api';

const { DOOR, APPID, KEY, OPENID, BETWEEN, BETWEEN_BODY } = process.env;
const rounds = Number(process.env.ROUNDS ?? 1);

let logins = 0;
let token;
const api = new API(APPID, KEY, async () => token, async (fresh) => {
  token = fresh;
  // It forgets a token that was refused by saving none.
  if (fresh) logins += 1;
});
api.prefix = `${DOOR}/cgi-bin/`;

// Whatever the test wants to happen between two calls.
async function between() {
  if (!BETWEEN) return;
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(BETWEEN, { method: 'POST', headers, body: BETWEEN_BODY });
  assert.ok(answer.ok, `${answer.status}`);
}

// Everything once; the id of the template message.
async function calls(number) {
  const { ip_list: ips } = await api.getIp();
  assert.ok(ips.length > 0 && ips.every((ip) => typeof ip === 'string'), `${ips}`);
  await between();
  const ticket = await api.getTicket('jsapi');
  assert.ok(ticket.ticket && ticket.isValid());
  await between();
  const data = { thing1: { value: `你好 ${number}` } };
  const sent = await api.sendTemplate(OPENID, 'T1', 'https://example.com/a?b=c&d', '', data);
  assert.ok(sent.errcode === 0 && sent.msgid);
  await between();
  const bytes = Uint8Array.from({ length: 256 * 200 }, (_, at) => at % 256);
  const picture = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), bytes]);
  const media = await api.uploadMedia(picture, 'image', '一.jpg', 'image/jpeg');
  assert.ok(media.media_id && media.type === 'image');
  await between();
  const fetched = await api.getMedia(media.media_id);
  assert.deepEqual(fetched, picture);
  await between();
  const button = { type: 'click', name: '今日', key: `k${number}` };
  assert.equal((await api.createMenu({ button: [button] })).errcode, 0);
  await between();
  const [got] = (await api.getMenu()).menu.button;
  assert.deepEqual([got.name, got.key], ['今日', `k${number}`]);
  await between();
  assert.equal((await api.removeMenu()).errcode, 0);
  await between();
  const user = await api.getUser(OPENID);
  assert.ok(user.openid === OPENID && user.subscribe === 1);
  await between();
  assert.equal((await api.sendText(OPENID, `in short: ${number}`)).errcode, 0);
  await between();
  // Larger than a number of JavaScript: the SDK reads it as an object of its own.
  return String(sent.msgid);
}

const msgids = [];
for (let number = 0; number < rounds; number += 1) msgids.push(await calls(number));
console.log(JSON.stringify({ sdk: 'co-wechat-api', rounds, logins, msgids }));
