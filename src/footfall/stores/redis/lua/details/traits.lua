-- What is known of the views of a commit: it is taken, then what it touches is read, then resolved under the limits of the day,
-- in the order in which it was taken, and left to be written with the rest.
--
-- Views with the same traits of a page are a row. Of each dimension there are its values, each once, and for each row the place
-- of its own among them, so that most of the work is done with small numbers.

local columns = {} -- by dimension: values, at (by row), letter, words (by value)
for i, column in ipairs(args.columns) do columns[i] = { values = column[1], at = column[2], words = {} } end

-- A row: its day, hour, page and views; nothing of rows that don't count.
local row_days, row_hours, row_pages, row_views, rows = {}, {}, {}, {}, 0
local days, rows_of = {}, {} -- rows_of: how many rows a page has

local function day_of(start)
  local day = days[start]
  if not day then
    day = { start = start, lists = {}, resolved = {}, numbers = {}, pages = {}, new = {}, hours = {} }
    for i = 1, #columns do day.lists[i], day.resolved[i] = {}, {} end
    days[start] = day
  end
  return day
end

-- What an hour gets: of the site views by dimension and value; of pages fields, with the views of each and the row and dimension
-- in which it was met first.
local function hour_of(day, hour)
  local of = day.hours[hour]
  if not of then
    of = { sums = {}, fields = {}, views = {}, met = {}, at = {} }
    for i = 1, #columns do of.sums[i] = {} end
    day.hours[hour] = of
  end
  return of
end

-- A day will be asked which number a page has, which is to say whether it has a place.
local function ask_for_place(day, page)
  if day.numbers[page] == nil then
    day.numbers[page] = false
    day.pages[#day.pages + 1] = page
  end
end

local function take_row(row, page, at, views)
  local hour = start_of('hour', at)
  local start = start_of('day', hour)
  if start < oldest_kept('day') then return end
  local day = day_of(start)
  row_days[row], row_hours[row], row_pages[row], row_views[row], rows = day, hour_of(day, hour), page, views, row
  rows_of[page] = (rows_of[page] or 0) + 1
  ask_for_place(day, page)
end

-- The site's views, under the values as they came.
local function sum_up()
  for i, column in ipairs(columns) do
    local at = column.at
    for row = 1, rows do
      local day = row_days[row]
      if day then
        local value, sums = at[row], row_hours[row].sums[i]
        local sum = sums[value]
        if sum then
          sums[value] = sum + row_views[row]
        else
          sums[value] = row_views[row]
          if day.resolved[i][value] == nil then
            day.resolved[i][value] = false
            if column.values[value] ~= '' then table.insert(day.lists[i], value) end
          end
        end
      end
    end
  end
end

-- The values that the day has or has room for stand for themselves, the others for OTHER, and "" for none. Values that come into
-- the day come in the order in which they were taken.
local function resolve_values(day, i)
  local list, resolved, values, names = day.lists[i], day.resolved[i], columns[i].values, {}
  local from = trait_key('day', day.start, args.dimensions[i])
  for j, value in ipairs(list) do names[j] = values[value] end
  local found, count = asked('HMGET', from, names), nil
  for j, value in ipairs(list) do
    resolved[value] = value
    if not found[j] and names[j] ~= args.other then
      count = count or call('HLEN', from) - call('HEXISTS', from, args.other)
      if count < args.values then
        count = count + 1
      else
        columns[i].other = columns[i].other or #values + 1
        values[columns[i].other] = args.other
        resolved[value] = columns[i].other
      end
    end
  end
end

local function read_day(day)
  for i = 1, #columns do
    if #day.lists[i] > 0 then resolve_values(day, i) end
  end
  local places = places_key(day.start)
  local found = asked('HMGET', places, day.pages)
  for j, page in ipairs(day.pages) do day.numbers[page] = found[j] end
  day.last = tonumber(call('HGET', places, '#') or 0)
  day.had = floor(call('HLEN', places) / 2)
  day.taken = day.had
end

-- The site's line of an outcome.
local outcomes = {}
local function take_outcome(name, views)
  if views > 0 then outcomes[name] = (outcomes[name] or 0) + views end
end

-- The site's lines: hours, and the days and months that they add up to.
local function bump_site()
  local lines = {}
  local function put_line(tier, start, dimension, sums)
    if start < oldest_kept(tier) or not next(sums) then return end
    local to = trait_key(tier, start, dimension)
    if not lines[to] then
      numbered(dimension)
      lines[to] = { sums = sums, ttl = life(tier, start) }
      return
    end
    local both = {}
    for value, n in pairs(lines[to].sums) do both[value] = n end
    for value, n in pairs(sums) do added(both, value, n) end
    lines[to].sums = both
  end
  for _, day in pairs(days) do
    for hour, of in pairs(day.hours) do
      for i, column in ipairs(columns) do
        local sums, resolved = {}, day.resolved[i]
        for value, n in pairs(of.sums[i]) do
          if resolved[value] then added(sums, column.values[resolved[value]], n) end
        end
        for _, tier in ipairs(DETAIL_TIERS) do put_line(tier, start_of(tier, hour), args.dimensions[i], sums) end
      end
    end
  end
  for _, tier in ipairs(DETAIL_TIERS) do put_line(tier, start_of(tier, now), args.outcome, outcomes) end
  local listed = {} -- most hours, days and months get the same
  for to, line in pairs(lines) do
    local sums = line.sums
    listed[sums] = listed[sums] or { lists(sums) }
    bump(to, listed[sums][1], listed[sums][2], line.ttl)
  end
end
