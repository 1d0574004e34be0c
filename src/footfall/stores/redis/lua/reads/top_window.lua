-- The most viewed pages of the running sum, at most args.limit behind (args.views, args.page) where args.views is not 0:
-- [0, now, [page, views, …]], or [1] where the script is to be called again, or [2] where no running sum of that width is kept.
if not state or state.newest < now - args.window + 1 then return { 0, now, {} } end
local is_there, alarm = slide()
if state.width ~= args.window then return { 2 } end
if not is_there then return { 1, alarm } end

-- Whether a name comes after another in the order of their bytes. Lua's own order depends on the server's locale.
local function follows(name, other)
  for i = 1, math.min(#name, #other) do
    local a, b = name:byte(i), other:byte(i)
    if a ~= b then return a > b end
  end
  return #name > #other
end

local window = window_key()
local first = 0
if args.views > 0 then
  first = call('ZCOUNT', window, '-inf', '(' .. text[-args.views])
  local stop = first + call('ZCOUNT', window, text[-args.views], text[-args.views])
  while first < stop do
    local middle = floor((first + stop) / 2)
    if follows(call('ZRANGE', window, middle, middle)[1], args.page) then stop = middle else first = middle + 1 end
  end
end
local flat = {}
local found = call('ZRANGE', window, first, first + args.limit, 'WITHSCORES')
for i = 1, #found, 2 do
  if found[i] ~= WHOLE and #flat < 2 * args.limit then
    flat[#flat + 1] = found[i]
    flat[#flat + 1] = -found[i + 1]
  end
end
return { 0, now, flat, alarm }
