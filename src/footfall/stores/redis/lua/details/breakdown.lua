-- Values of a dimension and their views in buckets of args.tier, of args.page or the site (WHOLE): those that begin at
-- args.starts, as many as can be with some 4,000 values: [buckets done, [value, views, …]]; a value may be there several times.
-- Changes nothing.
local flat, place = {}, state and state.born == args.born and place_of(args.dimension)
if not place then return { #args.starts, flat } end
local letter = letter_of(place)

local function add_page(start)
  for word, n in pairs(traits_of(args.tier, start, args.page, letter)) do
    flat[#flat + 1], flat[#flat + 2] = value_of(word), n
  end
end

local function add_site(start)
  local found = call('HGETALL', trait_key(args.tier, start, args.dimension))
  for i = 1, #found, 2 do
    flat[#flat + 1] = found[i]
    flat[#flat + 1] = tonumber(found[i + 1])
  end
end

for i, start in ipairs(args.starts) do
  if start >= oldest_kept(args.tier) then
    if args.page == WHOLE then add_site(start) else add_page(start) end
  end
  if #flat >= 8000 then return { i, flat } end
end
return { #args.starts, flat }
