-- The document args.key, or where that is "" all that HSCAN finds from args.cursor on: [cursor, [key, version, until, value, …]].
local flat = {}
local function take(key, record)
  local version, until_, value = opened(record)
  if version then
    flat[#flat + 1], flat[#flat + 2], flat[#flat + 3], flat[#flat + 4] = key, version, until_, value
  end
end
if args.cursor == '' then
  take(args.key, call('HGET', KEY, 'd' .. args.key))
  return { '0', flat }
end
local found = call('HSCAN', KEY, args.cursor, 'MATCH', 'd*', 'COUNT', 100)
for i = 1, #found[2], 2 do take(found[2][i]:sub(2), found[2][i + 1]) end
return { found[1], flat }
