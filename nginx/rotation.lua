-- rotation: asks the nodes of a frontend how they are, and who they are; as thin glue between nginx and the library of rotation.h, which
-- knows the rules. Which node a request is sent to is chosen in C (module/balancer.c).
--
-- Every nginx worker runs the timer; the table lets one of them do each question per interval. So a worker that is stopped or killed
-- stops nothing. All questions go by nginx's own server (own_server.lua, via/nodes.conf), each in a light thread of its own with a deadline: a node
-- that hangs holds up no other one's. A verdict comes after PROBE_INTERVAL_MS + PROBE_DEADLINE_MS + a tick at most: within a second.
--
-- The list is kept in $PYGMY_RUN_DIR/nodes, so that a frontend that is started anew finds nodes even when none of its seeds is left.

local ffi = require "ffi"
local own_server = require "own_server"

ffi.cdef [[
struct rotation_address { char bytes[28]; };
struct rotation_worker { char place[201]; uint32_t address_len; struct rotation_address address __attribute__((aligned(4))); };
struct rotation_node { char name[17]; uint32_t slot; uint32_t id; struct rotation_worker workers[2]; };
struct rotation_list { uint64_t generation; uint64_t revision; char log_id[17]; uint32_t count; struct rotation_node nodes[32]; };
extern const size_t rotation_list_bytes;
struct rotation *rotation_create(void);
bool pygmy_module_rotate(struct rotation *);
bool rotation_look(const struct rotation *, struct rotation_list *);
int rotation_take(struct rotation *, struct slice);
bool rotation_add_seeds(struct rotation *);
int rotation_state(const struct rotation *, const struct rotation_node *, int);
bool rotation_judge(struct rotation *, uint32_t, uint32_t, int, int, int64_t);
bool rotation_claim_probe(struct rotation *, const struct rotation_node *, int, int64_t, int64_t);
bool rotation_claim_name(struct rotation *, const struct rotation_node *, int, int64_t);
bool pygmy_module_resolve(const struct rotation_node *, int);
bool rotation_claim_list(struct rotation *, int64_t, int64_t);
bool rotation_file_save(const struct rotation *, const struct rotation_list *, const char *);
bool rotation_file_load(struct rotation *, const char *);
size_t rotation_show(const struct rotation *, const struct rotation_list *, char *);
]]

local ffi_string = ffi.string

local KINDS = { [0] = "catalog", [1] = "order" }      -- enum rotation_kind
local IN, UNREADY, SILENT = 0, 1, 2                   -- enum rotation_state
local CHANGED = 1                                     -- enum rotation_outcome
local TICK_S = 0.05
local PROBE_INTERVAL_MS = 250
local PROBE_DEADLINE_MS = 500
local LIST_INTERVAL_MS = 1000
local LIST_DEADLINE_MS = 900
local SHOW_MAX_BYTES = 256 + 32 * (160 + 2 * 200)     -- ROTATION_SHOW_MAX_BYTES
local SEEDS_AFTER_MS = 5000           -- without an answer to any question

local _M = {}
local lib, rotation, file
local list                            -- this worker's copy
local answered_at_ms                  -- when a node told the list, as far as this worker knows

function _M.create(library)
	return library.rotation_create
end

-- In the master, at start and at each reload.
function _M.init(library, run_dir, shared)
	lib, rotation, file = library, shared, run_dir .. "/nodes"
	assert(ffi.sizeof("struct rotation_list") == tonumber(lib.rotation_list_bytes))
	if not lib.pygmy_module_rotate(rotation) then
		error("the frontend's nodes can't be taken in")
	end
	lib.rotation_file_load(rotation, file)
end

-- ---- one worker of a node ----------------------------------------------------------------------

local function probe(place, name, slot, id, kind)
	local asked_at_ms = lib.coherence_clock_ms()
	local body, status = own_server.fetch("GET /nodes/" .. KINDS[kind], {
		headers = "X-Pygmy-Node: " .. slot .. "-" .. id .. "\r\n", status_only = true, deadline_ms = asked_at_ms + PROBE_DEADLINE_MS,
	})
	-- 502 and 504 are our own nginx's word for no answer.
	local state = SILENT
	if status == 200 then
		state = IN
	elseif status and status ~= 502 and status ~= 504 then
		state = UNREADY
	end
	if lib.rotation_judge(rotation, slot, id, kind, state, asked_at_ms) then
		local why = status == 200 and "it is ready" or status == 502 and "no connection" or (status == 504 or not status) and "no answer"
			or "it is not ready, status " .. tostring(status or body)
		ngx.log(ngx.WARN, "rotation: node ", name, " (", place, ") ", state == IN and "comes back: " or "leaves: ", why)
	end
end

-- ---- the list ----------------------------------------------------------------------------------

local function ask_list()
	local body, status = own_server.fetch("GET /nodes/list", { deadline_ms = lib.coherence_clock_ms() + LIST_DEADLINE_MS })
	if status ~= 200 then
		return
	end
	answered_at_ms = lib.coherence_clock_ms()
	if lib.rotation_take(rotation, ffi.new("struct slice", body, #body)) ~= CHANGED then
		return
	end
	lib.rotation_look(rotation, list)
	local names = {}
	for i = 0, list.count - 1 do
		names[#names + 1] = ffi_string(list.nodes[i].name)
	end
	ngx.log(ngx.NOTICE, "rotation: the nodes are ", table.concat(names, " "))
	if not lib.rotation_file_save(rotation, list, file) then
		ngx.log(ngx.WARN, "rotation: the list of nodes can't be kept in ", file)
	end
end

-- Whether there is nobody left who could tell the list.
local function is_silent()
	for i = 0, list.count - 1 do
		if lib.rotation_state(rotation, list.nodes[i], 0) ~= SILENT then
			return false
		end
	end
	return true
end

local function tick(premature)
	if premature then
		return
	end
	local now_ms = lib.coherence_clock_ms()
	lib.rotation_look(rotation, list)
	if lib.rotation_claim_list(rotation, now_ms, LIST_INTERVAL_MS) then
		if now_ms - answered_at_ms > SEEDS_AFTER_MS and is_silent() and lib.rotation_add_seeds(rotation) then
			ngx.log(ngx.WARN, "rotation: no node answers; those of the configuration are asked, too")
		end
		ngx.thread.spawn(ask_list)
	end
	for i = 0, list.count - 1 do
		local node = list.nodes[i]
		for kind = 0, 1 do
			local worker = node.workers[kind]
			if lib.rotation_claim_name(rotation, node, kind, now_ms) then
				lib.pygmy_module_resolve(node, kind)
			end
			if worker.address_len > 0 and lib.rotation_claim_probe(rotation, node, kind, now_ms, PROBE_INTERVAL_MS) then
				local place = ffi_string(worker.place)
				local name = node.name[0] ~= 0 and ffi_string(node.name) or "?"
				ngx.thread.spawn(probe, place, name, node.slot, node.id, kind)
			end
		end
	end
end

-- GET /nodes: the rotation as JSON.
function _M.show()
	local text = ffi.new("char[?]", SHOW_MAX_BYTES + 1)
	lib.rotation_look(rotation, list)
	local len = tonumber(lib.rotation_show(rotation, list, text))
	ngx.header.content_length = len
	ngx.print(ffi_string(text, len))
end

-- Where nodes are no business of this nginx, nothing is done.
function _M.init_worker()
	if not rotation then
		return
	end
	list = ffi.new("struct rotation_list")
	answered_at_ms = lib.coherence_clock_ms()
	lib.rotation_look(rotation, list)
	assert(ngx.timer.every(TICK_S, tick))
end

return _M
