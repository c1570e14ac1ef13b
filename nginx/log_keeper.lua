-- log_keeper: keeps logs from growing for ever, nginx's own and those beside them.
--
-- A log past MAX_BYTES is renamed to <log>.1 (and .1 to .2, .2 to .3; the oldest is overwritten), then the master is told to
-- open its logs anew (SIGUSR1), which it passes on to its workers. Until they have done so they write on into <log>.1: no line
-- is lost. One worker does it, the first of them; when it is killed, its successor has the same number.
-- Renaming takes no disk space, so this works on a full disk, too.
--
-- The logs of others (workers, etcd), who append to them and can't be told to open them anew, are copied to <log>.1 and cut. A
-- line that is written in between may be lost; without space for the copy nothing is cut.

local ffi = require "ffi"

ffi.cdef [[
int getppid(void);
int kill(int, int);
]]

local MAX_BYTES = 16 * 1024 * 1024
local KEPT = 3
local INTERVAL_S = 1                   -- a log outgrows its limit by what is written in this time
local SIGUSR1 = 10

local _M = {}

local function size_of(path)
	local file = io.open(path, "rb")
	if not file then
		return 0
	end
	local size = file:seek("end")
	file:close()
	return size or 0
end

-- Returns whether the log was moved away.
function _M.rotate(path, max_bytes)
	if size_of(path) < max_bytes then
		return false
	end
	for i = KEPT - 1, 1, -1 do
		os.rename(path .. "." .. i, path .. "." .. (i + 1))
	end
	return os.rename(path, path .. ".1") ~= nil
end

local function copy(from, to)
	local source, target = io.open(from, "rb"), io.open(to, "wb")
	local whole = source and target and true or false
	while whole do
		local bytes = source:read(65536)
		if not bytes then
			break
		end
		whole = target:write(bytes) and true or false
	end
	if source then
		source:close()
	end
	if target then
		whole = target:close() and whole
	end
	return whole
end

-- Returns whether the log was cut.
function _M.cut(path, max_bytes)
	if size_of(path) < max_bytes then
		return false
	end
	local fresh = path .. ".1.new"
	if not copy(path, fresh) then
		os.remove(fresh)
		return false
	end
	os.rename(fresh, path .. ".1")
	local file = io.open(path, "w")
	if file then
		file:close()
	end
	return file ~= nil
end

-- logs: nginx's own; others: those of other programs, or nil.
function _M.start(logs, others)
	if ngx.worker.id() ~= 0 then
		return
	end
	assert(ngx.timer.every(INTERVAL_S, function(premature)
		local moved = false
		for _, path in ipairs(logs) do
			moved = not premature and _M.rotate(path, MAX_BYTES) or moved
		end
		if moved then
			ffi.C.kill(ffi.C.getppid(), SIGUSR1)
		end
		for _, path in ipairs(others or {}) do
			_M.cut(path, MAX_BYTES)
		end
	end))
end

return _M
