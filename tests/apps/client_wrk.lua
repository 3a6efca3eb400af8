-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
-- For wrk: send requests with the credentials in KEYS (words, "-" for none) in turn, PIPELINE of them
-- at a time, and print how many answers had which status.
local threads, turn = {}, 0
local keys = {}
for key in os.getenv("KEYS"):gmatch("%S+") do keys[#keys + 1] = key end

function setup(thread) threads[#threads + 1] = thread end

function request()
	local text = {}
	for i = 1, tonumber(os.getenv("PIPELINE")) do
		turn = turn % #keys + 1
		local fields = {}
		if keys[turn] ~= "-" then fields.Authorization = "Bearer " .. keys[turn] end
		text[i] = wrk.format("GET", "/plain", fields)
	end
	return table.concat(text)
end

function init() seen = {} end

function response(status) seen[status] = (seen[status] or 0) + 1 end

function done(summary)
	for _, thread in ipairs(threads) do
		for status, count in pairs(thread:get("seen")) do print("status", status, count) end
	end
	local errors = summary.errors
	print("broken", errors.connect, errors.read + errors.write + errors.timeout)
end
