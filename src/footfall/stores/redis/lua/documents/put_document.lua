-- Write the document args.key, or remove it where there is no args.value: its new version. Where args.version is given and not
-- the current one (0: there is none), nothing changes: -1. args.token is drawn for each change, so that one that is sent twice
-- because its reply was lost is made once.
local GONE_AT_ONCE = 50
local field = 'd' .. args.key
local current = opened(call('HGET', KEY, field))
local token, made = (call('HGET', KEY, 'n') or ''):match('^(%x+):(%d+)$')
local over = call('ZRANGEBYSCORE', ENDS, '-inf', time, 'LIMIT', 0, GONE_AT_ONCE)
if token == args.token then
  call('HSET', KEY, 'n', token .. ':' .. made)
  return tonumber(made)
end
if args.version and args.version ~= (current or 0) then return -1 end

for _, key in ipairs(over) do
  call('HDEL', KEY, 'd' .. key)
  call('ZREM', ENDS, key)
end
local version = call('HINCRBY', KEY, 'v', 1)
call('HSET', KEY, 'n', args.token .. ':' .. version)
if args.value then
  call('HSET', KEY, field, version .. ':' .. (args.until_ or -1) .. ':' .. args.value)
else
  call('HDEL', KEY, field)
end
if args.value and args.until_ then call('ZADD', ENDS, args.until_, args.key) else call('ZREM', ENDS, args.key) end
return version
