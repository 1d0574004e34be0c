-- Folding the pages' traits of hours that have passed, some a commit. See pages.lua.

local RESTS = 60 -- seconds after which an hour that gets no more is folded
local MOST_FRESH = 8 -- hours that may wait for it

-- The hour to be folded next: none that is still added to, unless too many wait.
local function passed_hour()
  local current, oldest = start_of('hour', now), nil
  for i, each in ipairs(state.fresh or {}) do
    if each[1] ~= current and (not oldest or each[3] < state.fresh[oldest][3]) then oldest = i end
  end
  if oldest and (now - state.fresh[oldest][3] >= RESTS or #state.fresh > MOST_FRESH) then return oldest end
end

-- Add to a page's text in a bucket.
local function add_to_text(to, page, all, words, views)
  local sums = {}
  local there, numbers = words_in(all)
  for i = 1, #words do sums[words[i]] = views[i] end
  for i = 1, #there do
    numbers[i] = numbers[i] + (sums[there[i]] or 0)
    sums[there[i]] = nil
  end
  for word, n in pairs(sums) do
    there[#there + 1], numbers[#numbers + 1] = word, n
  end
  call('HSET', to, page, written(there, numbers))
end

-- Fold one page's fields of an hour; gives back how many there might have been.
local function fold_page(hour, day, number, page)
  local all = call('HGET', pages_key('day', day), page)
  local known = words_in(all)
  local found, fields = fresh_of(hour, number, known)
  local names, views, gone = {}, {}, {}
  for i = 1, #known do
    if found[i] > 0 then names[#names + 1], views[#views + 1], gone[#gone + 1] = known[i], found[i], fields[i] end
  end
  if #names > 0 then
    if hour >= oldest_kept('hour') then
      local to = pages_key('hour', hour)
      add_to_text(to, page, call('HGET', to, page), names, views)
    end
    add_to_text(pages_key('day', day), page, all, names, views)
    in_runs('HDEL', fresh_key(hour), gone, RUN)
  end
  return #known
end

-- Fold pages of one hour until some `most` values have been looked at; gives back how many are left to look at.
local function fold_hour(place, most)
  local hour, number = state.fresh[place][1], state.fresh[place][2]
  local from, day, to = fresh_key(hour), start_of('day', hour), pages_key('hour', hour)
  local is_new = call('HLEN', to) == 0
  call('HLEN', pages_key('day', day))
  call('HLEN', from)
  local last = tonumber(call('HGET', places_key(day), '#') or 0)
  while number < last and most > 0 do
    number = number + 1
    local page = call('HGET', places_key(day), '#' .. number)
    most = most - 5 - (page and fold_page(hour, day, number, page) or 0)
  end
  if is_new and hour >= oldest_kept('hour') then call('EXPIRE', to, life('hour', hour)) end
  state.fresh[place][2] = number
  if number >= last then
    local each, left = state.fresh[place], call('HLEN', from)
    if left > 0 and each[4] == left and each[5] == each[3] then
      call('UNLINK', from) -- what no page has any more: it would never end
      left = 0
    end
    if left == 0 then table.remove(state.fresh, place) end
    each[2], each[4], each[5] = 0, left, each[3] -- once more, for what was added behind the folding's back
  end
  return most - 5
end

-- Fold hours that have passed, some `most` values of theirs. Gives back whether not too many are left.
local function fold_traits(most)
  local place = passed_hour()
  if not place then return true end
  while place and most > 0 do
    most = fold_hour(place, most)
    place = passed_hour()
  end
  if state.fresh and #state.fresh == 0 then state.fresh = nil end
  save()
  return #(state.fresh or {}) <= MOST_FRESH
end
