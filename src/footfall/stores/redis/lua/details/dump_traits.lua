-- Rows [start, page, dimension, value, views] of args.tier: of the site first, then page by page. A place is "d", the number of a
-- dimension, ":" and a cursor there; "p" at the beginning of the pages; "n" and a page's number; "t" or "r" and a cursor among
-- all pages or the rest of them. See dump.lua.

local function read_site(start, place)
  local number, cursor = place:match('^d(%d+):(%d+)$')
  number, cursor = tonumber(number or 1), cursor or '0'
  local name = state.dims and state.dims[number]
  if not name then return 'p' end
  local found = call('HSCAN', trait_key(args.tier, start, name), cursor, 'COUNT', 500)
  for i = 1, #found[2], 2 do row(start, WHOLE, name, found[2][i], tonumber(found[2][i + 1])) end
  if found[1] ~= '0' then return 'd' .. number .. ':' .. found[1] end
  return 'd' .. number + 1 .. ':0'
end

local function page_rows(start, page)
  for word, n in pairs(traits_of(args.tier, start, page)) do
    if n > 0 then row(start, page, state.dims[LETTERS:find(word:sub(1, 1), 1, true)], value_of(word), n) end
  end
  work = work - 3
end

-- Pages of an hour that is not folded are met by their numbers in the day: then it does not matter how far the folding has come.
local function read_numbers(start, place)
  local number, places = tonumber(place), places_key(start_of('day', start))
  local last = tonumber(call('HGET', places, '#') or 0)
  while number < last and not is_enough() do
    number = number + 1
    local page = call('HGET', places, '#' .. number)
    if page then page_rows(start, page) end
  end
  return number < last and 'n' .. number or 'r0'
end

-- Pages by their texts; `but_numbered`: those that have no number in the day, of which only the hour was loaded.
local function read_texts(start, cursor, but_numbered)
  local found = call('HSCAN', pages_key(args.tier, start), cursor, 'COUNT', 20)
  for i = 1, #found[2], 2 do
    local page = found[2][i]
    if not (but_numbered and call('HEXISTS', places_key(start_of('day', start)), page) == 1) then page_rows(start, page) end
  end
  return found[1] ~= '0' and found[1] or nil
end

local function read(start, place)
  local kind, rest = place:sub(1, 1), place:sub(2)
  if kind == 'p' then
    if args.tier == 'month' then return nil end
    kind, rest = args.tier == 'hour' and is_fresh(start) and 'n' or 't', '0'
  end
  if kind == 'n' then return read_numbers(start, rest) end
  if kind == 't' or kind == 'r' then
    local cursor = read_texts(start, rest, kind == 'r')
    return cursor and kind .. cursor
  end
  return read_site(start, place)
end

return each_bucket(oldest_kept(args.tier), read)
