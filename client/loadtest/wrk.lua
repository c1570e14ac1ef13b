-- wrk: searches, lookups or purchases, and the figures in the form in which pygmy-load prints them.
-- Arguments: search|lookup|buy, cached|strict. Items and topics come from the files that LOADTEST_ITEMS and LOADTEST_TOPICS name; the
-- figures go to load.json and latency.csv in LOADTEST_FOLDER. (wrk does not hand its arguments to done(): LOADTEST_OPERATION.)

local requests = {}

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    if line ~= "" then lines[#lines + 1] = line end
  end
  return lines
end

local function encode(text)
  return (text:gsub("[^A-Za-z0-9%-%._~]", function(byte) return string.format("%%%02X", byte:byte()) end))
end

function setup(thread)
  count = (count or 0) + 1
  thread:set("number", count)
end

function init(args)
  local headers = {}
  if args[2] == "strict" and args[1] ~= "buy" then headers["X-Pygmy-Consistency"] = "strict" end
  local prefix = wrk.path == "/" and "" or wrk.path
  if args[1] == "search" then
    for _, topic in ipairs(lines_of(os.getenv("LOADTEST_TOPICS"))) do
      requests[#requests + 1] = wrk.format("GET", prefix .. "/search?topic=" .. encode(topic), headers)
    end
  else
    for _, id in ipairs(lines_of(os.getenv("LOADTEST_ITEMS"))) do
      requests[#requests + 1] = wrk.format(args[1] == "buy" and "POST" or "GET", prefix .. "/" .. args[1] .. "?id=" .. id, headers)
    end
  end
  math.randomseed(os.time() * 16 + number)
end

function request()
  return requests[math.random(#requests)]
end

-- wrk counts every answer from 400 on as an error of status, and does not tell which.
function done(summary, latency)
  local folder, errors = os.getenv("LOADTEST_FOLDER"), summary.errors
  local operation = os.getenv("LOADTEST_OPERATION")
  local broken = errors.connect + errors.read + errors.write
  local failures = broken + errors.timeout + errors.status
  local seconds = summary.duration / 1e6
  local function p(share) return latency:percentile(share) end
  local times = string.format('{"count":%d,"mean_us":%.3f,"p50_us":%d,"p90_us":%d,"p95_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}',
    summary.requests, summary.requests > 0 and latency.mean or 0, p(50), p(90), p(95), p(99), p(99.9), latency.max)
  local out = assert(io.open(folder .. "/load.json", "w"))
  out:write(string.format('{"driver":"wrk","loop":"closed","rate":0,"connections":%d,"seconds":%.6f,"requests":%d,"answers":%d,"failures":%d,'
    .. '"answers_per_second":%.1f,"interrupted":false,"operations":{"%s":{"requests":%d,"failures":%d,"hits":null,"unknown":%d,'
    .. '"ends":{"done":%d,"refused":0,"rate_limited":0,"overloaded":0,"server_error":%d,"broken":%d,"timeout":%d,"unconnected":%d,"unsent":0},"latency":%s,"service":%s}}}\n',
    tonumber(os.getenv("LOADTEST_CLIENTS")), seconds, summary.requests, summary.requests - errors.status, failures,
    (summary.requests - errors.status) / seconds, operation, summary.requests + broken + errors.timeout, failures,
    operation == "buy" and failures or 0, summary.requests - errors.status, errors.status, errors.read + errors.write, errors.timeout,
    errors.connect, times, times))
  out:close()
  out = assert(io.open(folder .. "/latency.csv", "w"))
  out:write("operation,counted_from,up_to_us,count\n")
  for i = 1, #latency do
    local value, number = latency(i)
    out:write(string.format("%s,sent,%d,%d\n", operation, value, number))
  end
  out:close()
end
