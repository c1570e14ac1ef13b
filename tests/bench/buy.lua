-- wrk: a purchase per request. Arguments: the number of item ids to spread the purchases over (1: one hot item).
local items = 1

function init(args)
  items = tonumber(args[1] or "1")
  math.randomseed(os.time())
end

function request()
  return wrk.format("POST", "/buy?id=" .. math.random(1, items))
end
