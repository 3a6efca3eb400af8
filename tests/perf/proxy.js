// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Node as a peer: a middleware that judges, in front of one that passes on to the application.
//
//	proxy.js PORT ORIGIN LIMITS		LIMITS: a line for each key, with requests per minute and per day
'use strict'
const fs = require('fs')
const http = require('http')

const [port, origin, file] = process.argv.slice(2)
const keys = new Map()
for (const line of fs.readFileSync(file, 'latin1').trim().split('\n')) {
	const [key, ...limits] = line.split(' ')
	keys.set(key, [60000, 86400000].map((size, i) => ({ size, limit: +limits[i], number: 0, used: 0 })))
}
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

function refuse(res, status, fields, error, code) {
	const text = JSON.stringify({ error, code })
	res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': text.length, ...fields })
	res.end(text)
}

// The key's windows are both counted, or the one that is used up is returned.
function count(windows, now) {
	for (const window of windows) {
		const number = Math.floor(now / window.size)
		if (number !== window.number) {
			window.number = number
			window.used = 0
		}
		if (window.used >= window.limit)
			return window
	}
	for (const window of windows)
		window.used++
	return null
}

function judge(req, res, next) {
	const [, key] = /^bearer +(\S+)$/i.exec(req.headers.authorization) || []
	const windows = keys.get(key)
	if (!windows)
		return refuse(res, 401, { 'WWW-Authenticate': 'Bearer' }, 'Invalid or expired API key.', 'UNAUTHORIZED')
	const now = Date.now()
	const full = count(windows, now)
	if (!full)
		return next()
	const seconds = Math.ceil((full.size - now % full.size) / 1000)
	refuse(res, 429, { 'Retry-After': seconds }, 'Rate limit exceeded. Please try again later.', 'RATE_LIMITED')
}

function passOn(req, res) {
	const { connection, ...headers } = req.headers
	const options = { host: '127.0.0.1', port: origin, agent, method: req.method, path: req.url, headers }
	const request = http.request(options, (answer) => {
		const { connection: ended, ...fields } = answer.headers
		res.writeHead(answer.statusCode, fields)
		answer.pipe(res)
	})
	request.on('error', () => res.destroy())
	// A client that leaves amid its answer would keep the agent's socket for good.
	res.on('close', () => res.writableFinished || request.destroy())
	if (req.headers['content-length'] || req.headers['transfer-encoding'])
		req.pipe(request)
	else
		request.end()
}

http.createServer((req, res) => judge(req, res, () => passOn(req, res))).listen(port, '127.0.0.1', 1024)
