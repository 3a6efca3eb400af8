// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Node's own HTTP server as an application behind the gate: node app.js PORT FOLDER
'use strict';
const fs = require('fs');
const http = require('http');

const [port, folder] = process.argv.slice(2);
process.chdir(folder);

const plain = '{"data":[{"id":"model-one","object":"model"},' +
	'{"id":"model-two","object":"model"}],"note":"........"}';
const large = Buffer.alloc(1024 * 1024);

function head(request) {
	let text = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`;
	for (let i = 0; i < request.rawHeaders.length; i += 2)
		text += `${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}\r\n`;
	text += '\r\n';
	for (let i = 0; i < request.rawTrailers.length; i += 2)
		text += `${request.rawTrailers[i]}: ${request.rawTrailers[i + 1]}\r\n`;
	return text;
}

function choose(request) {
	if (request.url.startsWith('/missing'))
		return [404, '{}'];
	if (request.url.startsWith('/broken'))
		return [500, '{}'];
	if (request.method === 'PUT')
		return [201, '{}'];
	if (request.url.startsWith('/echo'))
		return [200, head(request)];
	if (request.url.startsWith('/medium'))
		return [200, large.subarray(0, 20480)];
	if (request.url.startsWith('/none'))
		return [200, ''];
	return [200, request.url.startsWith('/large') ? large : plain];
}

const server = http.createServer((request, response) => {
	const body = [];
	if (request.url.startsWith('/begins'))
		return request.socket.write('HTTP/1.1 ');
	request.on('data', (piece) => body.push(piece));
	request.on('end', () => {
		const [status, text] = choose(request);
		if (request.method === 'PUT')
			fs.writeFileSync(request.url.slice(1), Buffer.concat(body));
		fs.appendFileSync('access.log', `${request.method} ${request.url} ${status}\n`);
		fs.appendFileSync('received.log', head(request));
		response.writeHead(status, {
			'Content-Type': 'application/json',
			'Content-Length': Buffer.byteLength(text),
		});
		response.end(request.method === 'HEAD' ? undefined : text);
	});
});
server.on('clientError', (error, socket) => {
	fs.appendFileSync('error.log', `${error.code}\n`);
	socket.destroy();
});
server.keepAliveTimeout = 600000;
server.requestTimeout = 0;
server.headersTimeout = 0;
server.listen(Number(port), '127.0.0.1');
