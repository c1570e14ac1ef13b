-- wrk: a lookup per request, of ids spread evenly over 1..N (argument); `strict` as the second argument goes past the cache.
local items = 1
local headers = {}

function init(args)
  items = tonumber(args[1] or "1")
  if args[2] == "strict" then
    headers["X-Pygmy-Consistency"] = "strict"
  end
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", "/lookup?id=" .. math.random(1, items), headers)
end
