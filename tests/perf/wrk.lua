-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
-- For wrk: send the requests of a file in turn, and print figures as "name<TAB>number".
--
--	wrk ... -s wrk.lua URL -- FILE SIZE [--statuses]	SIZE: bytes of each request
--
-- Each status is counted on demand alone: wrk makes a Lua table of every answer's fields for that, and its
-- own work would be a good part of what is measured. It counts those from 400 on by itself.
local texts, turn, threads = {}, 0, {}

-- What all processors worked since the machine booted, in clock ticks; stolen time is no work.
local function ticks()
	local file = io.open("/proc/stat")
	local user, nice, system, _, _, irq, softirq = file:read("*l"):match(("%s+(%d+)"):rep(7))
	file:close()
	return user + nice + system + irq + softirq
end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
	local file = assert(io.open(args[1], "rb"))
	for text in function() return file:read(tonumber(args[2])) end do texts[#texts + 1] = text end
	file:close()
	seen = {}
	if args[3] then
		function response(status) seen[status] = (seen[status] or 0) + 1 end
	end
	-- From here on, so that the work above is left out.
	before = ticks()
end

function request()
	turn = turn % #texts + 1
	return texts[turn]
end

function done(summary, latency)
	local after, errors = ticks(), summary.errors
	local figures = {
		ticks = after - threads[1]:get("before"),
		requests = summary.requests,
		microseconds = summary.duration,
		p50 = latency:percentile(50),
		p99 = latency:percentile(99),
		refused = errors.status,
		connect = errors.connect,
		read = errors.read,
		write = errors.write,
		timeout = errors.timeout,
	}
	for name, figure in pairs(figures) do print(name .. "\t" .. figure) end
	for status, count in pairs(threads[1]:get("seen")) do print("status " .. status .. "\t" .. count) end
end
