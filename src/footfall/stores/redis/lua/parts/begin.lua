-- How long the tiers in KEPT are kept.
local function keeps()
  local seconds = {}
  for i, tier in ipairs(KEPT) do seconds[i] = args.keep[tier] end
  return seconds
end

-- The state of a site that begins, before anything is counted.
local function new_site(newest)
  local t = redis.call('TIME')
  return {
    v = FORMAT, born = string.format('%x%05x', tonumber(t[1]), tonumber(t[2])), first = now, newest = newest, more = 0, fill = 0,
    keep = keeps(),
    open = start_of('minute', now), width = args.window, used = now, low = now - args.window + 1, part = 0, ids = 0, writers = 0,
  }
end

-- The place of a dimension in state.dims, made where it has none.
local function numbered(dimension)
  local place = place_of(dimension)
  if place then return place end
  state.dims = state.dims or {}
  state.dims[#state.dims + 1] = dimension
  return #state.dims
end
