// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Node's fetch: client_fetch.js URL KEY..., the words "-" for no key. Prints what came as JSON.
'use strict';
const crypto = require('crypto');

const [url, ...keys] = process.argv.slice(2);
const body = crypto.randomBytes(10000000);
const hash = crypto.createHash('sha256').update(body).digest('hex');
const seen = {};

function ask(path, key, more) {
	const headers = key === '-' ? {} : { Authorization: `Bearer ${key}` };
	return fetch(url + path, { headers, ...more });
}

async function* pieces() {
	for (let i = 0; i < body.length; i += 100000)
		yield body.subarray(i, i + 100000);
}

// POST with Content-Length, then a stream, which goes out in chunks.
async function upload(key) {
	for (const more of [{ body }, { body: ReadableStream.from(pieces()), duplex: 'half' }]) {
		const answer = await ask('/hash', key, { method: 'POST', ...more });
		if (await answer.text() !== hash)
			throw new Error(`wrong hash of an upload: ${answer.status}`);
	}
}

async function get(i) {
	const answer = await ask('/plain', keys[i % keys.length]);
	await answer.arrayBuffer();
	seen[answer.status] = (seen[answer.status] || 0) + 1;
}

async function main() {
	for (let i = 0; i < 600; i += 20)
		await Promise.all(Array.from({ length: 20 }, (_, k) => get(i + k)));
	await upload(keys[0]);
	const answer = await ask('/large', keys[0]);
	let large = 0;
	for await (const piece of answer.body)
		large += piece.length;
	console.log(JSON.stringify({ seen, large }));
}

main();
