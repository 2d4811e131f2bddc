// Keeps the charts and the points of the runs on the page, and takes in what each message brings (app/live_points.py).
const pages = new WeakMap()
const PATIENCE = 2000 // milliseconds after which all is asked for again

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".live-runs")
  if (!root || !data) return
  const page = pages.get(root) ?? { asked: -PATIENCE, runs: new Map(), figures: [] }
  pages.set(root, page)
  showTable(root.querySelector(".live-table"), data.table)
  if (!takeIn(page, data.message, component)) return
  page.draw = () => root.isConnected && draw(root.querySelector(".live-charts"), page, data)
  if (hasPlotly(component, () => page.draw())) page.draw()
  return watch(root, page)
}

// Whether the page has all that this message speaks of.
function takeIn(page, { number, drawn, figures, held, points }, { setStateValue }) {
  if (figures) {
    page.figures = figures
    page.drawn = drawn
  }
  for (const [run, { start, columns }] of Object.entries(points)) {
    const [past] = held[run]
    const found = page.runs.get(run)
    const has = found?.past === past ? found.columns.epoch.length : 0
    if (start > has) continue
    if (!has) page.runs.set(run, { past, columns: copied(columns) })
    else for (const [name, values] of Object.entries(columns)) found.columns[name].push(...values.slice(has - start))
  }
  const isWhole = ([run, [past, count]]) => {
    const found = page.runs.get(run)
    return !count || (found?.past === past && found.columns.epoch.length === count)
  }
  if (page.drawn === drawn && Object.entries(held).every(isWhole)) return true
  if (performance.now() - page.asked >= PATIENCE) {
    page.asked = performance.now()
    setStateValue("behind", number)
  }
  return false
}

// A message may be shown to the page again: what it holds is not the page's to add to.
const copied = (columns) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice()]))

function draw(place, page, { alts, smoothing, config }) {
  while (place.children.length > page.figures.length) place.lastElementChild.remove()
  while (place.children.length < page.figures.length) {
    const chart = document.createElement("div")
    chart.className = "live-chart"
    chart.setAttribute("role", "img")
    place.append(chart)
  }
  page.figures.forEach((figure, index) => {
    const chart = place.children[index]
    chart.setAttribute("aria-label", alts[index])
    const traces = figure.data.flatMap((trace) => withPoints(trace, page.runs, smoothing))
    window.Plotly.react(chart, traces, themed(figure.layout, chart), config)
  })
}

// A curve with its run's points, smoothed in front of them as they are; any other trace as it is.
function withPoints(trace, runs, smoothing) {
  const [name, what, run, column, more] = Array.isArray(trace.meta) ? trace.meta : []
  if (column === undefined) return [trace]
  const held = runs.get(run)?.columns
  if (!held?.[column]) return []
  const isBits = trace.yaxis === "y2"
  const y = smoothing && !isBits ? smoothed(held[column], smoothing) : held[column]
  if (more?.at) {
    const place = new Map(held.epoch.map((epoch, index) => [epoch, index]))
    return [{ ...trace, x: more.at, y: more.at.map((epoch) => y[place.get(epoch)]) }]
  }
  const mode = held.epoch.length === 1 ? "lines+markers" : "lines"
  const drawn = { ...trace, mode, x: held.epoch.slice(), y: y.slice() }
  if (more?.labels) {
    const kept = held.epoch.map((_, index) => index).filter((index) => held[column][index] !== null)
    drawn.x = kept.map((index) => held.epoch[index])
    drawn.y = kept.map((index) => held[column][index])
    drawn.customdata = drawn.x.map((epoch) => labelAt(more.labels, epoch))
  }
  if (!smoothing || isBits) return [drawn]
  const asItIs = { ...drawn, y: held[column].slice(), opacity: 0.22, showlegend: false, hoverinfo: "skip" }
  delete asItIs.hovertemplate
  return [asItIs, { ...drawn, meta: [name, `${what}, smoothed`] }]
}

function labelAt(labels, epoch) {
  let found = ""
  for (const [first, label] of labels) if (first <= epoch) found = label
  return found
}

// Exponential moving average without the bias of its beginning; what was not measured stays so.
function smoothed(values, weight) {
  let mean = 0
  let share = 0
  return values.map((value) => {
    if (value === null) return null
    mean = weight * mean + (1 - weight) * value
    share = weight * share + (1 - weight)
    return Number((mean / share).toPrecision(6)) // more digits would be noise, and an axis could consist of it
  })
}

function showTable(region, { label, columns, rows }) {
  region.setAttribute("aria-label", label)
  const table = region.querySelector("table")
  const head = element("thead", {}, [
    element("tr", {}, columns.map(({ title, number }) => element("th", { scope: "col", className: kind(number) }, [title]))),
  ])
  const body = element("tbody", {}, rows.map((row) =>
    element("tr", {}, row.map((cell, index) => shownCell(cell, index, columns[index])))))
  table.replaceChildren(head, body)
}

const kind = (number) => (number ? "number" : "")

function shownCell(cell, index, { number }) {
  const content = []
  if (cell.color) content.push(element("span", { className: "live-swatch", style: { background: cell.color } }))
  if (cell.share !== undefined) {
    const done = element("span", { style: { width: `${100 * cell.share}%` } })
    content.push(element("span", { className: "live-progress", ariaHidden: "true" }, [done]))
  }
  if (cell.states) {
    cell.states.forEach(([text, name]) => {
      const style = {
        color: `var(--st-${name}-text-color, var(--st-text-color))`,
        background: `var(--st-${name}-background-color, var(--st-secondary-background-color))`,
      }
      content.push(element("span", { className: "live-state", style }, [text]), " ")
    })
  } else content.push(cell.text)
  const tag = index === 0 ? "th" : "td"
  const made = element(tag, { className: kind(number), title: cell.about ?? "" }, content)
  if (index === 0) made.scope = "row"
  return made
}

function element(tag, { style, ...properties }, children = []) {
  const made = Object.assign(document.createElement(tag), properties)
  Object.assign(made.style, style)
  made.append(...children)
  return made
}

function watch(root, page) {
  if (page.observer) return page.stop
  page.observer = new ResizeObserver(() => {
    if (!root.isConnected) return
    for (const chart of root.querySelectorAll(".live-chart.js-plotly-plot")) window.Plotly.Plots.resize(chart).catch(() => {})
  })
  page.observer.observe(root.querySelector(".live-charts"))
  // No purge: a resize that plotly has put off by some milliseconds would find its chart gone.
  page.stop = () => {
    page.observer?.disconnect()
    page.observer = undefined
  }
  return page.stop
}
