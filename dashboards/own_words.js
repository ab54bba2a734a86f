// Says what Streamlit says of its own in Turkish while the page is Turkish, and as it was while it is not.
(own, around) => {
  const names = ["aria-label", "title", "placeholder"]
  // Texts are looked at where Streamlit alone speaks: a campaign may be called "Search".
  const places = "[role=tooltip], [role=menuitem], [data-testid=stSkipToContent], [data-testid^=stDateInputQuickSelect]"
  const patterns = Object.entries(around).map(([text, turkish]) => [new RegExp(text), turkish])
  const kept = new WeakMap()

  function turkish(text) {
    const [head, ...rest] = text.split(": ")
    if (Object.hasOwn(own, head)) return [own[head], ...rest].join(": ")
    return patterns.reduce((said, [pattern, wanted]) => said.replace(pattern, wanted), text)
  }

  function put(node, name, text) {
    const before = kept.get(node)?.[name]
    const english = before?.turkish === text ? before.english : text
    const said = {english, turkish: turkish(english)}
    if (said.turkish === english) return
    kept.set(node, {...kept.get(node), [name]: said})
    const wanted = document.documentElement.lang === "tr" ? said.turkish : english
    if (wanted === text) return
    if (name === "text") node.data = wanted
    else node.setAttribute(name, wanted)
  }

  function walk(node) {
    if (node.nodeType === Node.TEXT_NODE && node.parentElement?.closest(places)) put(node, "text", node.data)
    if (node.nodeType !== Node.ELEMENT_NODE) return
    for (const name of names) if (node.hasAttribute(name)) put(node, name, node.getAttribute(name))
    node.childNodes.forEach(walk)
  }

  function follow(change) {
    if (change.type === "childList") change.addedNodes.forEach(walk)
    else if (change.type === "characterData") walk(change.target)
    else if (change.target === document.documentElement) walk(document.body)
    else if (change.target.hasAttribute(change.attributeName))
      put(change.target, change.attributeName, change.target.getAttribute(change.attributeName))
  }

  new MutationObserver(changes => changes.forEach(follow)).observe(
    document.documentElement, {subtree: true, childList: true, characterData: true, attributeFilter: [...names, "lang"]})
}
