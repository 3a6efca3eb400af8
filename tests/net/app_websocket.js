// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A WebSocket server (RFC 6455) as an application behind the gate: node app_websocket.js PORT FOLDER
//
// It echoes every message whole, in frames of up to 16 KiB, and sends messages of its own meanwhile:
// "tick 0", "tick 1" … as text, one for each ten messages that came. access.log has a line for each
// handshake.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const [port, folder] = process.argv.slice(2);
process.chdir(folder);

const TEXT = 1, BINARY = 2, CLOSE = 8;
const FRAGMENT = 16384;

function frame(opcode, final, payload) {
	const length = payload.length;
	const head = length < 126 ? Buffer.from([0, length]) : Buffer.from([0, 126, length >> 8, length & 255]);
	head[0] = (final ? 0x80 : 0) | opcode;
	return Buffer.concat([head, payload]);
}

function send(socket, opcode, payload) {
	let at = 0;
	do {
		const piece = payload.subarray(at, at + FRAGMENT);
		socket.write(frame(at ? 0 : opcode, at + FRAGMENT >= payload.length, piece));
		at += FRAGMENT;
	} while (at < payload.length);
}

// The next frame of a client in bytes, which is masked: {opcode, final, payload, end}; or nothing yet.
function parse(bytes) {
	if (bytes.length < 2)
		return;
	let length = bytes[1] & 127, at = 2;
	if (length === 126) {
		if (bytes.length < 4)
			return;
		length = bytes.readUInt16BE(2);
		at = 4;
	} else if (length === 127) {
		if (bytes.length < 10)
			return;
		length = Number(bytes.readBigUInt64BE(2));
		at = 10;
	}
	const end = at + 4 + length;
	if (bytes.length < end)
		return;
	const payload = Buffer.from(bytes.subarray(at + 4, end));
	for (let i = 0; i < length; i++)
		payload[i] ^= bytes[at + (i & 3)];
	return { opcode: bytes[0] & 15, final: bytes[0] >> 7, payload, end };
}

function serve(socket, early) {
	let bytes = early, pieces = [], messages = 0;

	function take({ opcode, final, payload }) {
		if (opcode === CLOSE) {
			socket.end(frame(CLOSE, true, payload));
			return;
		}
		pieces.push(payload);
		if (!final)
			return;
		send(socket, BINARY, Buffer.concat(pieces));
		pieces = [];
		if (messages % 10 === 0)
			send(socket, TEXT, Buffer.from(`tick ${messages / 10}`));
		messages++;
	}
	function takeAll(more) {
		bytes = Buffer.concat([bytes, more]);
		for (let next; (next = parse(bytes)); bytes = bytes.subarray(next.end))
			take(next);
	}
	socket.on('data', takeAll);
	takeAll(Buffer.alloc(0));
}

const server = http.createServer((request, response) => {
	fs.appendFileSync('access.log', `${request.method} ${request.url} 200\n`);
	response.end('{}');
});
server.on('upgrade', (request, socket, early) => {
	const accept = crypto.createHash('sha1')
		.update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
		.digest('base64');
	fs.appendFileSync('access.log', `${request.method} ${request.url} 101\n`);
	socket.setNoDelay(true);
	socket.on('error', () => socket.destroy());
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
		`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
	serve(socket, early);
});
server.listen(Number(port), '127.0.0.1');
