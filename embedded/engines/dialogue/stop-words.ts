/** Words that say nothing about the subject of a question. Anything not listed, and not known, counts against it. */
export const stopWords: ReadonlySet<string> = new Set(
  `a able about above actually after again ahead all allowed alright already also always am an and another any anybody
  anyone anything anyway are around as ask asked asking at away back bad badly be became because become been before
  being best better between big bit both brilliant bring brought but by call called calling came can cannot certainly
  cheers come comes coming completely could couple course currently day days dear definitely did do does doing done
  dont down each easily easy either else enough er especially even ever every everything exactly excuse far feel few
  figure find fine first folks for forward friend from front full fully further gave generally get gets getting give
  given giving go goes going gone gonna good goodbye got gotta great guess guy guys had half handle happen happens
  happy hardly has have having he hello help her here hers hey hi him his hope how however i idea if im in inside
  instead interested into is it its itself job just keep keeps kind kinda kindly know last later least leave left let
  lets like little long look looking lot lots love make makes making many may maybe me mean might mind mine minute
  minutes mm moment more most mostly much must my myself name near nearby need needed needing needs never new next
  nice no none normally not nothing now number of off often oh ok okay old on once one ones only onto or order other
  our ours out outside over own particular per perhaps person place please plus possible possibly pretty probably
  problem put quick quickly quite rather ready really reckon regarding right roughly said same saw say see seem seems
  sell sense set several shall she shop should show since small so some somebody somehow someone something sometimes
  somewhere soon sorry sort start started still stop store straight stuff such suppose sure take takes taking talk tell
  than thank thanks that the their them then there these they thing things think this those though through till time
  times to today together told tomorrow too took totally toward towards tried try trying two type um under understand
  until up upon us use usually very via visit wait waiting want wanted wants was way we week welcome well went were
  what whatever when whenever where whether which while who whole whom whose why will willing wish with within without
  wonder wondering work working works would wrong yeah yes yesterday yet you your yours yourself yourselves have has
  got guys there's that's front rear actual whats fella mate sir madam ma'am folks hiya evening afternoon currently
  anytime kindly simply right usual usually offer offers offered provide provides provided possible accept accepts
  accepted permit let lets sits based happens cos hold fitted fit replace replaced replacement suggest information
  info details detail question questions query hear heard speak speaking hour hours week weeks
  month months year years ago long soon
  stay stays staying town city turn turning hand anywhere everybody everyone two three four five six seven eight nine
  ten eleven twelve twenty thirty hundred second seconds third pair couple wanna lately recently fairly bought
  buying somewhat nearest closest everywhere nowhere nobody fancy hoping hope planning plan thinking thought
  believe sounds sound true false case unfortunately actually basically honestly literally simply apparently
  since during per along across behind beside among
  recommend recommended send sent settle making sounding awful died dead die decent fresh proper honest doors door
  part parts weird strange funny terrible horrible annoying wonderful lovely favourite simple quite nearly hopefully
  stopped starts stops noticed notice realised trouble issue issues broke seems gotten shown showing kindly assist
  deals dealing arrange organise manage suitable particular certain sort kinds sorts size bigger smaller general advance necessary required
  monthly weekly daily shot`
    .split(/\s+/)
    .filter((entry) => entry !== ''),
);
