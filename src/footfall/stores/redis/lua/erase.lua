-- Erase buckets of a site that was forgotten: those of args.tier that begin at args.starts, under the keys of args.born. They are
-- out of reach already. Without starts, all is erased, and the note of it goes.
if #args.starts == 0 then return call('HDEL', SITE .. ':forgotten', args.born) end
state = { born = args.born }
local keys = {}
for _, start in ipairs(args.starts) do
  local bucket = bucket_key(args.tier, start)
  keys[#keys + 1] = bucket
  if args.tier == 'minute' then keys[#keys + 1] = sketch_key('minute', start, WHOLE) end
  if args.tier == 'second' then
    for part = 1, tonumber(call('HGET', bucket, MORE) or 0) do keys[#keys + 1] = second_key(start, part) end
  end
end
each_run('UNLINK', keys)
