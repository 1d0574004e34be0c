-- Event ids: where each was remembered, if it still is, as "writer number:sequence:".

local slot = floor(now / math.max(args.ttl, 1))

local function remembered(ids)
  local found = {}
  if not state or #ids == 0 then return found end
  for i = 0, 1 do
    local records = asked('HMGET', ids_key(slot + i), ids)
    for j = 1, #ids do
      if records[j] then
        local by, until_ = records[j]:match('^(%d+:%d+:)(%d+)$')
        if tonumber(until_) > now then found[j] = by end
      end
    end
  end
  return found
end

local function duplicates_of(found, ids, own)
  local places = {}
  for i = 1, #ids do
    if found[i] and found[i] ~= own then places[#places + 1] = i - 1 end
  end
  return places
end

-- Read what it takes to remember ids; gives back a function that does it. The line of ids says how many had their time until
-- when. Those whose time is over are taken off the number.
local function to_remember(ids, by)
  if #ids == 0 then return function() end end
  local until_, ended = now + args.ttl, 0
  local line = call('LRANGE', ids_line_key(), 0, args.moved - 1)
  if #line == 0 then state.ids = 0 end
  for _, entry in ipairs(line) do
    local at, n = entry:match('^(%d+):(%d+)$')
    if tonumber(at) > now then break end
    ended, state.ids = ended + 1, state.ids - n
  end
  local tail = call('LINDEX', ids_line_key(), -1)
  local is_new_slot = call('HLEN', ids_key(slot + 1)) == 0
  call('EXISTS', ids_key(slot - 1))
  local room = math.max(0, math.min(#ids, args.most_ids - state.ids))
  state.ids = state.ids + room
  return function()
    local records = {}
    for i = 1, room do
      records[2 * i - 1], records[2 * i] = ids[i], by .. until_
    end
    in_runs('HSET', ids_key(slot + 1), records, 2 * RUN)
    if ended > 0 then call('LTRIM', ids_line_key(), ended, -1) end
    local same, n = (tail or ''):match('^(%d+):(%d+)$')
    if same and tonumber(same) == until_ and until_ > now then
      call('LSET', ids_line_key(), -1, until_ .. ':' .. n + room)
    elseif room > 0 then
      call('RPUSH', ids_line_key(), until_ .. ':' .. room)
      call('EXPIRE', ids_line_key(), until_ - time + SLACK)
    end
    if is_new_slot and room > 0 then
      call('EXPIRE', ids_key(slot + 1), (slot + 2) * args.ttl - time + SLACK)
      call('UNLINK', ids_key(slot - 1))
    end
  end
end
