-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
-- What HAProxy as the application answers by program.

core.register_service("hash", "http", function(applet)
	local pieces = {}
	while true do
		local piece = applet:receive()
		if not piece or #piece == 0 then break end
		pieces[#pieces + 1] = piece
	end
	local hash = applet.c:sha2(table.concat(pieces), 256)
	local text = hash:gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
	applet:set_status(200)
	applet:add_header("content-length", #text)
	applet:start_response()
	applet:send(text)
end)

core.register_service("stream", "http", function(applet)
	applet:set_status(200)
	applet:start_response()
	for i = 0, 4 do
		applet:send("piece " .. i .. "\n")
		core.msleep(100)
	end
end)

core.register_service("large", "http", function(applet)
	local file = io.open("content/large", "rb")
	applet:set_status(200)
	applet:add_header("content-length", file:seek("end"))
	applet:start_response()
	file:seek("set")
	while applet.method ~= "HEAD" do
		local piece = file:read(65536)
		if not piece then break end
		applet:send(piece)
	end
	file:close()
end)
