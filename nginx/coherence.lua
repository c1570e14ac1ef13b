-- coherence: nginx's side of the coherent cache, as thin glue between nginx and the library of coherence_table.h and cache_key.h.
--
-- What is decided here: nothing. The library takes in pushes and lease answers and knows the rules; the module in it
-- (ngx_http_pygmy_module.c) says under which key a request is cached. This file carries bytes to it: from the push endpoint,
-- and from the catalog workers, whom it asks by nginx's own server on $PYGMY_RUN_DIR/frontend.sock (nginx retries there on the next worker).
--
-- Every nginx worker runs the timer; the table lets one of them ask per interval. So a worker that is stopped or killed
-- does not stop the lease, and nothing waits longer than ASK_DEADLINE_MS.

local ffi = require "ffi"
local own_server = require "own_server"
local rotation = require "rotation"

ffi.cdef [[
struct slice { const char *ptr; size_t len; };
struct coherence_question {
	uint32_t era; bool has_position; uint64_t since; int64_t sent_at_ms; uint64_t joined; char log_id[17];
};
struct coherence_status {
	uint32_t era; bool leased; int64_t lease_left_ms; uint64_t position; uint64_t floor;
	uint64_t pushes, renewals, resets, refused, fences, joined; char log_id[17];
};
struct coherence_table *coherence_table_create(void);
int64_t coherence_clock_ms(void);
int coherence_table_push(struct coherence_table *, struct slice);
bool coherence_table_claim(struct coherence_table *, int64_t, int64_t);
void coherence_table_ask(const struct coherence_table *, int64_t, struct coherence_question *);
int coherence_table_answer(struct coherence_table *, const struct coherence_question *, struct slice);
bool coherence_table_claim_join(struct coherence_table *, int64_t);
void coherence_table_joined(struct coherence_table *, int64_t, uint64_t);
void pygmy_module_attach(struct coherence_table *, int64_t, const char *);
struct frontend_counters *frontend_counters_create(void);
void pygmy_module_count(struct frontend_counters *);
size_t pygmy_module_metrics(char *);
void coherence_table_status(const struct coherence_table *, int64_t, int64_t, struct coherence_status *);
int chmod(const char *, unsigned int);
]]

local C = ffi.C
local ffi_string = ffi.string

local DONE, ASK_AGAIN = 0, 1          -- enum coherence_outcome
local REFUSED, FENCED = 3, 6
local RENEW_MS = 250                  -- LEASE_RENEW_MS of db/limits.h
local ASK_ROUNDS_MAX = 4              -- each opened era needs a question of its own
local ASK_DEADLINE_MS = 900
local JOIN_DEADLINE_MS = 2500
local TICK_S = 0.1
local METRICS_MAX_BYTES = 65536       -- FRONTEND_METRICS_MAX_BYTES

local _M = {}
local lib, table_, lease_ms, run_dir
local name, push_url                  -- of a frontend in a cluster; "" where nobody has to join
local question = ffi.new("struct coherence_question")
local status = ffi.new("struct coherence_status")

-- In the master, at start and at each reload: what create() made once. The dictionary lives as long as that does: with the master.
-- It says where it is, since the Lua state is a new one after a reload.
local function find(name, type_name, create)
	local memory = ngx.shared.coherence
	local address = memory:get(name)
	if address then
		return ffi.cast(type_name, ffi.cast("uintptr_t", address))
	end
	local made = create()
	if made == nil then
		error("no memory for the " .. name)
	end
	assert(memory:set(name, tonumber(ffi.cast("uintptr_t", made))))
	return made
end

function _M.init(options)
	lib = ffi.load(options.library)
	lease_ms, run_dir = options.lease_ms, options.run_dir
	name, push_url = options.name, options.push_url
	table_ = find("table", "struct coherence_table *", lib.coherence_table_create)
	lib.pygmy_module_attach(table_, lease_ms, run_dir .. "/cache")
	lib.pygmy_module_count(find("counters", "struct frontend_counters *", lib.frontend_counters_create))
	own_server.init(lib, run_dir)
	if options.nodes then
		rotation.init(lib, run_dir, find("rotation", "struct rotation *", rotation.create(lib)))
	end
end

-- ---- the lease -------------------------------------------------------------------------------

-- The body of the answer to a request to our own socket server, or nil and why not.
local function fetch(what, json, deadline_ms)
	local body, status = own_server.fetch(what, { json = json, deadline_ms = deadline_ms })
	if status ~= 200 then
		return nil, body or "status " .. tostring(status)
	end
	return body
end

local function as_slice(text)
	return ffi.new("struct slice", text, #text)
end

local function number(n)
	return tostring(n):match("%d+")
end

-- Joins the cluster (again). Returns nothing, or why not.
local function join()
	if not lib.coherence_table_claim_join(table_, lib.coherence_clock_ms()) then
		return "fenced; it joins again in a while"
	end
	local deadline_ms = lib.coherence_clock_ms() + JOIN_DEADLINE_MS
	local text, err = fetch("POST /coherence/join", '{"name":"' .. name .. '","url":"' .. push_url .. '"}', deadline_ms)
	local index = text and text:match("^([1-9]%d*)\n$")
	if not index then
		return "it could not join: " .. tostring(err or text)
	end
	lib.coherence_table_joined(table_, lib.coherence_clock_ms(), tonumber(index))
	ngx.log(ngx.NOTICE, "coherence: ", name, " joined at index ", index)
end

-- The question for the lease. Whoever has not joined need not ask: it is as if fenced.
local function ask(deadline_ms)
	lib.coherence_table_ask(table_, lib.coherence_clock_ms(), question)
	if name ~= "" and question.joined == 0 then
		return FENCED
	end
	local what = "GET /coherence/changes?since=" .. number(question.since) .. "&log=" .. ffi_string(question.log_id)
	if name ~= "" then
		what = what .. "&frontend=" .. name .. "&joined=" .. number(question.joined)
	end
	local text, err = fetch(what, nil, deadline_ms)
	if not text then
		return nil, "no answer: " .. tostring(err)
	end
	return lib.coherence_table_answer(table_, question, as_slice(text))
end

local last_failure

local function renew()
	local deadline_ms = lib.coherence_clock_ms() + ASK_DEADLINE_MS
	for _ = 1, ASK_ROUNDS_MAX do
		local outcome, err = ask(deadline_ms)
		if outcome == FENCED then
			err = join()
			deadline_ms = lib.coherence_clock_ms() + ASK_DEADLINE_MS
		elseif outcome and outcome ~= DONE and outcome ~= ASK_AGAIN then
			err = "answer not usable, outcome " .. outcome
		end
		if err or outcome == DONE then
			return err
		end
	end
	return "the log changes all the time"
end

-- Who is about to stop nginx makes the file "leaving". From then on the lease is not renewed, and nobody joins: when it has lapsed, nothing
-- is served from the cache, and no write need wait for this frontend.
local function is_leaving()
	local mark = io.open(run_dir .. "/leaving")
	if mark then
		mark:close()
	end
	return mark ~= nil
end

local busy = false

local function tick(premature)
	if premature then
		return
	end
	if busy or not lib.coherence_table_claim(table_, lib.coherence_clock_ms(), RENEW_MS) then
		return
	end
	if is_leaving() then
		return
	end
	busy = true
	local ok, failure = pcall(renew)
	busy = false
	failure = not ok and tostring(failure) or failure
	if failure ~= last_failure then
		ngx.log(ngx.WARN, "coherence: ", failure or "lease renewed again")
		last_failure = failure
	end
end

function _M.init_worker()
	C.chmod(run_dir .. "/frontend.sock", 384)     -- 0600; nginx makes sockets 0666
	assert(ngx.timer.every(TICK_S, tick))
	assert(ngx.timer.at(0, tick))
	rotation.init_worker()
end

-- ---- the socket server -----------------------------------------------------------------------

-- POST /coherence/push: 204 once all slots are raised, 400 when the text is not a push, 503 when it could not be taken in.
function _M.push()
	ngx.req.read_body()
	local text = ngx.req.get_body_data()
	local outcome = text and lib.coherence_table_push(table_, as_slice(text)) or REFUSED
	return ngx.exit(outcome == DONE and 204 or outcome == REFUSED and 400 or 503)
end

-- GET /coherence/status
function _M.status()
	lib.coherence_table_status(table_, lib.coherence_clock_ms(), lease_ms, status)
	local text = table.concat {
		'{"era":', number(status.era), ',"fences":', number(status.fences), ',"floor":', number(status.floor),
		',"joined":', number(status.joined),
		',"lease_left_ms":', number(status.lease_left_ms), ',"leased":', tostring(status.leased),
		',"log_id":"', ffi_string(status.log_id), '","position":', number(status.position),
		',"pushes":', number(status.pushes), ',"refused":', number(status.refused),
		',"renewals":', number(status.renewals), ',"resets":', number(status.resets), '}\n',
	}
	ngx.header.content_length = #text
	ngx.print(text)
end

-- GET /metrics
function _M.metrics()
	local text = ffi.new("char[?]", METRICS_MAX_BYTES)
	local len = lib.pygmy_module_metrics(text)
	if len == 0 then
		return ngx.exit(500)
	end
	ngx.header.content_type = "text/plain; version=0.0.4; charset=utf-8"
	ngx.header.content_length = tonumber(len)
	ngx.print(ffi_string(text, len))
end

return _M
