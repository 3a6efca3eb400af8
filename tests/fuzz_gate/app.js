// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Node's own HTTP server, its parser as lenient as it can be, for the fuzzer: node app.js PORT FOLDER
// What it logs and how it answers: as tests/net/app_lenient.c.
'use strict';
const fs = require('fs');
const http = require('http');

const [port, folder] = process.argv.slice(2);
const log = fs.openSync(`${folder}/executed.log`, 'a');
const KEY = /gx_[A-Za-z0-9]{49}(?![A-Za-z0-9])/;

function identity(request) {
	const values = [];
	for (let i = 0; i < request.rawHeaders.length; i += 2)
		if (request.rawHeaders[i].toLowerCase().replaceAll('_', '-') === 'x-key-id')
			values.push(request.rawHeaders[i + 1]);
	return values.length > 1 ? 'several' : values.length ? values[0].split(/[;, \t]/)[0] : '-';
}

function answer(request, response, number, size, how) {
	const body = Buffer.alloc(size, 'a');
	if (size > 12)
		body.write(`${number}:`);
	if (how === 'i')
		response.writeProcessing();
	if (how === 'n' || how === 'm') {
		response.writeHead(how === 'n' ? 204 : 304);
		response.end();
		return;
	}
	if (how === 'u')
		response.shouldKeepAlive = false;
	response.writeHead(200, how === 'c' || how === 'u' ? {} : { 'Content-Length': size });
	if (request.method === 'HEAD') {
		response.end();
		return;
	}
	for (let at = 0; at < size && (how === 'c' || how === 'p'); at += 1000)
		response.write(body.subarray(at, at + 1000));
	response.end(how === 'c' || how === 'p' ? undefined : body);
}

const server = http.createServer({ insecureHTTPParser: true }, (request, response) => {
	const client = request.socket.clientPort;
	const [, number, size, how] = /\/r\/(\d+)\/(\d+)\/(.)/.exec(request.url) || [null, 0, 2, 'l'];
	fs.writeSync(log, `R ${client} ${identity(request)} ${request.url}\n`);
	if (KEY.test(request.url) || request.rawHeaders.some((text) => KEY.test(text)))
		fs.writeSync(log, `S ${client}\n`);
	request.on('error', () => {});
	if (how === 'e')
		answer(request, response, number, Number(size), how);
	else
		request.on('end', () => answer(request, response, number, Number(size), how));
	request.resume();
});
server.on('connection', (socket) => {
	socket.clientPort = socket.remotePort;
	socket.on('close', () => fs.writeSync(log, `E ${socket.clientPort}\n`));
});
server.on('clientError', (error, socket) => socket.destroy());
server.keepAliveTimeout = 600000;
server.requestTimeout = 0;
server.headersTimeout = 0;
server.listen(Number(port), '127.0.0.1');
