-- own_server: requests of nginx's Lua to nginx's own server on $PYGMY_RUN_DIR/frontend.sock, which passes them on (retries, TLS and kept
-- connections are nginx's then).

local _M = {}

local BODY_MAX_BYTES = 1024 * 1024

local lib, path

-- lib: the library, with coherence_clock_ms().
function _M.init(library, run_dir)
	lib, path = library, "unix:" .. run_dir .. "/frontend.sock"
end

-- What one line tells: the status. Returns nil and why when it is none.
local function read_status(sock)
	local line, err = sock:receive("*l")
	if not line then
		return nil, err
	end
	local status = line:match("^HTTP/1%.[01] (%d%d%d) ")
	if not status then
		return nil, line:sub(1, 60)
	end
	return tonumber(status)
end

-- Without its length a text that was broken off between two lines would look whole.
local function read_length(sock, left_ms)
	local length
	repeat
		if left_ms() <= 0 then
			return nil, "deadline"
		end
		local line, err = sock:receive("*l")
		if not line then
			return nil, err
		end
		length = line:match("^[Cc]ontent%-[Ll]ength: *(%d+)$") or length
	until line == ""
	length = tonumber(length)
	if not length or length > BODY_MAX_BYTES then
		return nil, "no length, or too long"
	end
	return length
end

local function read_body(sock, length, left_ms)
	local parts, have = {}, 0
	while have < length do
		if left_ms() <= 0 then
			return nil, "deadline"
		end
		local part, err = sock:receive(math.min(length - have, 65536))
		if not part then
			return nil, err
		end
		parts[#parts + 1], have = part, have + #part
	end
	return table.concat(parts)
end

-- Sends a request: its method and path; options: deadline_ms (of coherence_clock_ms), json (a body), headers (a text of lines), status_only.
-- Returns the body ("" with status_only) and the status; or why there is none, and nil. The whole takes at most until the deadline.
function _M.fetch(what, options)
	local sock = ngx.socket.tcp()
	local json = options.json
	local function left_ms()
		local left = tonumber(options.deadline_ms - lib.coherence_clock_ms())
		sock:settimeout(left > 1 and left or 1)
		return left
	end
	local function talk()
		left_ms()
		local ok, err = sock:connect(path)
		if not ok then
			return nil, err
		end
		local body_head = json and "Content-Type: application/json\r\nContent-Length: " .. #json .. "\r\n" or ""
		ok, err = sock:send(what .. " HTTP/1.0\r\nHost: pygmy\r\n" .. (options.headers or "") .. body_head .. "\r\n" .. (json or ""))
		if not ok then
			return nil, err
		end
		local status, length, body
		status, err = read_status(sock)
		if not status or options.status_only then
			return status and "", err or status
		end
		length, err = read_length(sock, left_ms)
		if length then
			body, err = read_body(sock, length, left_ms)
		end
		return body, err or status
	end
	local body, status = talk()
	sock:close()
	if not body then
		return tostring(status), nil
	end
	return body, status
end

return _M
