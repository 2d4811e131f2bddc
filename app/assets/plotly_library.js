// Before the script of each component that draws with plotly (see app/plotly_component.py): whether it can draw now.
function hasPlotly({ data, setStateValue }) {
  if (!window.Plotly && data.library) {
    const script = document.createElement("script")
    script.textContent = data.library
    document.head.appendChild(script)
    script.remove()
  }
  if (!window.Plotly) {
    setStateValue("library", "wanted")
    return false
  }
  if (data.library) setStateValue("library", "held")
  return true
}

