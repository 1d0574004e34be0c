-- Rows [writer, last sequence] of the writers that are remembered for ever. See dump.lua.
if is_over() then return { now, '', -1, '', rows } end
local found = call('HSCAN', writers_key(), args.place == '' and '0' or args.place, 'COUNT', 1000)
for i = 1, #found[2], 2 do
  local sequence, lasting = found[2][i + 1]:match('^(%d+):%d+:(%d):')
  if lasting == '1' then row(found[2][i], tonumber(sequence)) end
end
return { now, state.born, found[1] == '0' and -1 or 0, found[1], rows }
