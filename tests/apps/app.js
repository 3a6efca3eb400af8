// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Node's own HTTP server as the application: node app.js PORT, in the folder of its content and log.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const log = fs.openSync('access.log', 'a');

function sendFile(request, response) {
	const path = 'content' + request.url;
	if (!fs.existsSync(path)) {
		response.writeHead(404).end('missing\n');
		return;
	}
	response.writeHead(200, { 'Content-Length': fs.statSync(path).size });
	if (request.method === 'HEAD')
		response.end();
	else
		fs.createReadStream(path, { highWaterMark: 256 * 1024 }).pipe(response);
}

function stream(response) {
	let i = 0;
	response.writeHead(200);
	const timer = setInterval(() => {
		response.write(`piece ${i++}\n`);
		if (i === 5) {
			clearInterval(timer);
			response.end();
		}
	}, 100);
}

const server = http.createServer((request, response) => {
	const hash = crypto.createHash('sha256');
	fs.writeSync(log, `${request.method} ${request.url}\n`);
	request.on('data', (piece) => hash.update(piece));
	request.on('end', () => {
		if (request.url.startsWith('/hash'))
			response.end(hash.digest('hex'));
		else if (request.url.startsWith('/stream'))
			stream(response);
		else
			sendFile(request, response);
	});
});
server.keepAliveTimeout = 600000;
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), '127.0.0.1');
