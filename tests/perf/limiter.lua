-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
-- For nginx: refuse requests with an unknown key, or above the limits of theirs.
local limiter = {}
local limits = {}
local used = ngx.shared.used

-- Read the limits: a line for each key, with requests per minute and per day.
function limiter.read(path)
	for line in io.lines(path) do
		local key, minute, day = line:match("^(%S+) (%d+) (%d+)$")
		limits[key] = { minute = tonumber(minute), day = tonumber(day) }
	end
end

local function refuse(status, text)
	ngx.status = status
	ngx.header.content_type = "application/json"
	ngx.header.content_length = #text
	ngx.print(text)
	return ngx.exit(status)
end

-- Count in a window of so many seconds; the name that it is counted under, or nothing above the limit.
local function count(key, seconds, limit)
	local name = key .. seconds .. "." .. math.floor(ngx.time() / seconds)
	return used:incr(name, 1, 0, seconds) <= limit and name
end

local function limited(seconds)
	ngx.header["Retry-After"] = seconds - ngx.time() % seconds
	return refuse(429, '{"error":"Rate limit exceeded. Please try again later.","code":"RATE_LIMITED"}')
end

function limiter.judge()
	local key = (ngx.var.http_authorization or ""):match("^[Bb]earer +(%S+)$")
	local limit = limits[key or ""]
	if not limit then
		ngx.header["WWW-Authenticate"] = "Bearer"
		return refuse(401, '{"error":"Invalid or expired API key.","code":"UNAUTHORIZED"}')
	end
	local minute = count(key, 60, limit.minute)
	if not minute then return limited(60) end
	if not count(key, 86400, limit.day) then
		used:incr(minute, -1)
		return limited(86400)
	end
end

return limiter
